// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zipf_client: fills a Redis server, then reads from it with Zipf-distributed keys.
 *
 * Keys are numbered and loaded in that order, so that neighbours in number are mostly
 * neighbours in the server's memory. Which key has which rank is a random permutation: the
 * popular ones lie anywhere. Values are a function of the key (lib/value.h), and a sample
 * of what is read is compared.
 *
 * One connection. Up to --pipeline requests are under way; half of them are answered before
 * the next are sent, so that neither side waits for the other.
 */
#include <errno.h>
#include <getopt.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/choice.h"
#include "lib/latency.h"
#include "lib/parse.h"
#include "lib/value.h"
#include "lib/zipf.h"

#define NSEC_PER_SEC 1000000000ull
#define MAX_PIPELINE 1024
#define MAX_KEYS (UINT32_MAX - 1ull) /* what choice_permute() takes */
#define MAX_VALUE_BYTES (1ull << 20)
#define KEY_LEN (sizeof("key:0000000000") - 1)
#define HEAD_LEN 64 /* of SET, its key and the length of its value */

#define EXIT_USAGE 2

struct options {
	const char *socket; /* NULL: host and port */
	const char *host;
	uint64_t port;
	uint64_t nr_keys;
	uint64_t value_bytes;
	double exponent;
	uint64_t pipeline;
	uint64_t seed;
	uint64_t duration_ns; /* 0: until a signal */
	uint64_t verify;      /* one reply in so many is compared; 0: none */
};

struct request {
	uint64_t key;
	uint64_t sent_ns;
};

struct client;

/* What loading and reading do differently. */
struct job {
	const char *name;
	/* Chooses the next key; false: no more. */
	bool (*next)(struct client *client, uint64_t *ret_key);
	/* Puts the command into the output buffer; REDIS_OK or REDIS_ERR. */
	int (*append)(struct client *client, uint64_t key);
	/* Returns what is wrong with the reply, or NULL. */
	const char *(*check)(struct client *client, uint64_t key, const redisReply *reply);
};

struct client {
	const struct options *options;
	redisContext *redis;
	struct choice keys; /* only its permutation: the key of each rank */
	struct zipf zipf;
	uint64_t random;
	uint64_t nr_sent;
	uint64_t nr_done;
	uint64_t nr_verified;
	uint64_t end_ns;
	struct latency latency;
	/* Those under way, oldest first: number n is at n % MAX_PIPELINE. */
	struct request requests[MAX_PIPELINE];
	char command[HEAD_LEN + MAX_VALUE_BYTES + 2];
};

static volatile sig_atomic_t stopped;

static void on_signal(int signal)
{
	(void)signal;
	stopped = 1;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

/* --- Options ---------------------------------------------------------------------------------- */

static const char usage_text[] =
    "usage: zipf_client load|read [OPTION]...\n"
    "\n"
    "load stores a value under each key; read reads them with Zipf-distributed popularity, until\n"
    "the time is up or SIGINT or SIGTERM comes. Both print a line each second and a summary.\n"
    "\n"
    "  --socket PATH   unix socket of the server\n"
    "  --host HOST     or its address (default 127.0.0.1)\n"
    "  --port N        and port (default 6379)\n"
    "  --keys N        keys (default 100000)\n"
    "  --size SIZE     bytes of a value, at most 1MiB (default 1KiB)\n"
    "  --zipf S        exponent of the distribution, above 0, at most 10 (default 0.99)\n"
    "  --pipeline N    requests under way, 1 to 1024 (default 32)\n"
    "  --seed N        the same seed, the same popular keys and the same reads (default 1)\n"
    "  --duration S    seconds to read; 0: until a signal (default)\n"
    "  --verify N      compare one value in N that is read; 0: none (default 64)\n"
    "  --help          this text\n"
    "\n"
    "SIZE is bytes, or with KiB, MiB. p50 and p99.9 are of the time from sending a request to\n"
    "having its answer.\n"
    "Exit status: 0 done, 1 failed or a value is wrong, 2 wrong usage.\n";

enum option_id {
	OPT_SOCKET = 1,
	OPT_HOST,
	OPT_PORT,
	OPT_KEYS,
	OPT_SIZE,
	OPT_ZIPF,
	OPT_PIPELINE,
	OPT_SEED,
	OPT_DURATION,
	OPT_VERIFY,
	OPT_HELP,
};

static const struct option long_options[] = {
    {"socket", required_argument, NULL, OPT_SOCKET},
    {"host", required_argument, NULL, OPT_HOST},
    {"port", required_argument, NULL, OPT_PORT},
    {"keys", required_argument, NULL, OPT_KEYS},
    {"size", required_argument, NULL, OPT_SIZE},
    {"zipf", required_argument, NULL, OPT_ZIPF},
    {"pipeline", required_argument, NULL, OPT_PIPELINE},
    {"seed", required_argument, NULL, OPT_SEED},
    {"duration", required_argument, NULL, OPT_DURATION},
    {"verify", required_argument, NULL, OPT_VERIFY},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static int set_option(struct options *o, enum option_id id, const char *value)
{
	switch (id) {
	case OPT_SOCKET:
		o->socket = value;
		return 0;
	case OPT_HOST:
		o->host = value;
		return 0;
	case OPT_PORT:
		return parse_u64(value, &o->port);
	case OPT_KEYS:
		return parse_u64(value, &o->nr_keys);
	case OPT_SIZE:
		return parse_bytes(value, &o->value_bytes);
	case OPT_ZIPF:
		return parse_decimal(value, &o->exponent);
	case OPT_PIPELINE:
		return parse_u64(value, &o->pipeline);
	case OPT_SEED:
		return parse_u64(value, &o->seed);
	case OPT_DURATION:
		return parse_seconds_ns(value, &o->duration_ns);
	case OPT_VERIFY:
		return parse_u64(value, &o->verify);
	case OPT_HELP:
		break;
	}
	return -EINVAL;
}

/* What no single option can know. Returns what is wrong, or NULL. */
static const char *check_options(const struct options *o)
{
	if (o->port == 0 || o->port > UINT16_MAX)
		return "--port must be from 1 to 65535";
	if (o->nr_keys == 0 || o->nr_keys > MAX_KEYS)
		return "--keys must be from 1 to 4294967294";
	if (o->value_bytes == 0 || o->value_bytes > MAX_VALUE_BYTES)
		return "--size must be from 1 to 1MiB";
	if (!(o->exponent > 0 && o->exponent <= ZIPF_MAX_EXPONENT))
		return "--zipf must be above 0 and at most 10";
	if (o->pipeline == 0 || o->pipeline > MAX_PIPELINE)
		return "--pipeline must be from 1 to 1024";
	return NULL;
}

static _Noreturn void usage_error(const char *problem)
{
	fprintf(stderr, "zipf_client: %s (--help lists the options)\n", problem);
	exit(EXIT_USAGE);
}

static void parse_options(struct options *options, int argc, char **argv)
{
	const char *problem;
	int id, index = 0;

	*options = (struct options){
	    .host = "127.0.0.1",
	    .port = 6379,
	    .nr_keys = 100000,
	    .value_bytes = 1024,
	    .exponent = 0.99,
	    .pipeline = 32,
	    .seed = 1,
	    .verify = 64,
	};

	while ((id = getopt_long(argc, argv, "", long_options, &index)) != -1) {
		if (id == OPT_HELP) {
			fputs(usage_text, stdout);
			exit(EXIT_SUCCESS);
		}
		if (id == '?')
			exit(EXIT_USAGE);
		if (set_option(options, id, optarg) < 0) {
			fprintf(stderr, "zipf_client: --%s: \"%s\" is not a valid value\n",
				long_options[index].name, optarg);
			exit(EXIT_USAGE);
		}
	}
	problem = check_options(options);
	if (problem)
		usage_error(problem);
}

/* --- Load ------------------------------------------------------------------------------------- */

static void format_key(uint64_t key, char text[KEY_LEN + 1])
{
	snprintf(text, KEY_LEN + 1, "key:%010" PRIu32, (uint32_t)key);
}

static bool next_to_load(struct client *client, uint64_t *ret_key)
{
	*ret_key = client->nr_sent;
	return client->nr_sent < client->options->nr_keys;
}

/* The request is written in place: copying the value once more than needed is felt in an emulator.
 */
static int append_set(struct client *client, uint64_t key)
{
	uint64_t value_bytes = client->options->value_bytes;
	char name[KEY_LEN + 1];
	int head;

	format_key(key, name);
	head =
	    snprintf(client->command, HEAD_LEN, "*3\r\n$3\r\nSET\r\n$%zu\r\n%s\r\n$%" PRIu64 "\r\n",
		     KEY_LEN, name, value_bytes);
	value_fill(key, client->command + head, value_bytes);
	memcpy(client->command + head + value_bytes, "\r\n", 2);
	return redisAppendFormattedCommand(client->redis, client->command, head + value_bytes + 2);
}

static const char *check_stored(struct client *client, uint64_t key, const redisReply *reply)
{
	(void)client;
	(void)key;
	return reply->type == REDIS_REPLY_STATUS ? NULL : "the server did not store it";
}

static const struct job load = {
    .name = "load",
    .next = next_to_load,
    .append = append_set,
    .check = check_stored,
};

/* --- Read ------------------------------------------------------------------------------------- */

static bool next_to_read(struct client *client, uint64_t *ret_key)
{
	*ret_key = choice_page_of_rank(&client->keys, zipf_next(&client->zipf, &client->random));
	return true;
}

static int append_get(struct client *client, uint64_t key)
{
	char name[KEY_LEN + 1];
	const char *argv[] = {"GET", name};
	const size_t lens[] = {3, KEY_LEN};

	format_key(key, name);
	return redisAppendCommandArgv(client->redis, 2, argv, lens);
}

static const char *check_value(struct client *client, uint64_t key, const redisReply *reply)
{
	const struct options *o = client->options;

	if (reply->type == REDIS_REPLY_NIL)
		return "the key is not there (load with the same --keys)";
	if (reply->type != REDIS_REPLY_STRING || reply->len != o->value_bytes)
		return "the value has another length (load with the same --size)";
	if (o->verify == 0 || client->nr_done % o->verify)
		return NULL;
	client->nr_verified++;
	return value_is(key, reply->str, reply->len) ? NULL : "the value is wrong";
}

static const struct job read_job = {
    .name = "read",
    .next = next_to_read,
    .append = append_get,
    .check = check_value,
};

/* --- Pipeline --------------------------------------------------------------------------------- */

static int complain(const char *what, const char *why)
{
	fprintf(stderr, "zipf_client: Failed to %s: %s\n", what, why);
	return -EIO;
}

static int send_requests(struct client *client, const struct job *job)
{
	uint64_t sent_ns = now_ns(), key;
	int done = 0;

	while (client->nr_sent - client->nr_done < client->options->pipeline &&
	       job->next(client, &key)) {
		client->requests[client->nr_sent % MAX_PIPELINE] = (struct request){key, sent_ns};
		if (job->append(client, key) != REDIS_OK)
			return complain("send", client->redis->errstr);
		client->nr_sent++;
	}
	while (!done)
		if (redisBufferWrite(client->redis, &done) != REDIS_OK)
			return complain("send", client->redis->errstr);
	return 0;
}

static int receive_reply(struct client *client, const struct job *job)
{
	const struct request *request = &client->requests[client->nr_done % MAX_PIPELINE];
	redisReply *reply = NULL;
	const char *wrong;

	if (redisGetReply(client->redis, (void **)&reply) != REDIS_OK)
		return complain("receive", client->redis->errstr);
	latency_add(&client->latency, now_ns() - request->sent_ns);
	wrong =
	    reply->type == REDIS_REPLY_ERROR ? reply->str : job->check(client, request->key, reply);
	if (wrong)
		fprintf(stderr, "zipf_client: Failed to %s key %" PRIu64 ": %s\n", job->name,
			request->key, wrong);
	freeReplyObject(reply);
	client->nr_done++;
	return wrong ? -EIO : 0;
}

/* Leaves at most max_left requests under way. */
static int receive_replies(struct client *client, const struct job *job, uint64_t max_left)
{
	int r = 0;

	while (r == 0 && client->nr_sent - client->nr_done > max_left)
		r = receive_reply(client, job);
	return r;
}

/* --- Reports ---------------------------------------------------------------------------------- */

struct moment {
	uint64_t time_ns;
	uint64_t nr_done;
	struct latency latency;
};

static void take_moment(struct moment *moment, const struct client *client)
{
	moment->time_ns = now_ns();
	moment->nr_done = client->nr_done;
	moment->latency = client->latency;
}

static void print_rate(const char *event, uint64_t start_ns, const struct moment *from,
		       const struct moment *to)
{
	static struct latency latency; /* large for a stack */
	double seconds = (to->time_ns - from->time_ns) / 1e9;

	latency_diff(&latency, &to->latency, &from->latency);
	printf("%-8s %8.3f s %12" PRIu64 " ops %10.0f ops/s   p50 %6.0f us   p99.9 %8.0f us\n",
	       event, (to->time_ns - start_ns) / 1e9, to->nr_done,
	       seconds > 0 ? (to->nr_done - from->nr_done) / seconds : 0,
	       latency_quantile_ns(&latency, 0.5) / 1e3,
	       latency_quantile_ns(&latency, 0.999) / 1e3);
	fflush(stdout);
}

static bool job_ends(const struct client *client, const struct job *job, uint64_t time_ns)
{
	if (stopped || time_ns >= client->end_ns)
		return true;
	return job == &load && client->nr_sent == client->options->nr_keys;
}

static int run(struct client *client, const struct job *job)
{
	static struct moment start, last, now;
	int r = 0;

	take_moment(&start, client);
	last = start;
	client->end_ns = job == &read_job && client->options->duration_ns
			     ? start.time_ns + client->options->duration_ns
			     : UINT64_MAX;
	while (r == 0 && !job_ends(client, job, now_ns())) {
		r = send_requests(client, job);
		if (r == 0)
			r = receive_replies(client, job, client->options->pipeline / 2);
		if (r == 0 && now_ns() - last.time_ns >= NSEC_PER_SEC) {
			take_moment(&now, client);
			print_rate(job->name, start.time_ns, &last, &now);
			last = now;
		}
	}
	if (r == 0)
		r = receive_replies(client, job, 0);

	take_moment(&now, client);
	print_rate("summary", start.time_ns, &start, &now);
	if (job == &read_job)
		printf("verified %" PRIu64 " values\n", client->nr_verified);
	return r;
}

/* --- Start ------------------------------------------------------------------------------------ */

static const struct job *find_job(int argc, char **argv)
{
	if (argc - optind != 1)
		usage_error("one of load and read is needed");
	if (strcmp(argv[optind], load.name) == 0)
		return &load;
	if (strcmp(argv[optind], read_job.name) == 0)
		return &read_job;
	usage_error("load and read are all it can do");
}

static int connect_to_server(struct client *client)
{
	const struct options *o = client->options;

	client->redis = o->socket ? redisConnectUnix(o->socket) : redisConnect(o->host, o->port);
	if (!client->redis)
		return complain("connect", strerror(ENOMEM));
	if (client->redis->err)
		return complain("connect", client->redis->errstr);
	return 0;
}

static void catch_signals(void)
{
	/* Restarting: a reply that is on its way is taken, and then the end. */
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

int main(int argc, char **argv)
{
	static struct client client; /* large for a stack */
	struct options options;
	const struct job *job;
	int r;

	parse_options(&options, argc, argv);
	job = find_job(argc, argv);
	client.options = &options;
	client.random = options.seed;
	/* One hot key and no shares: of the choice only the permutation is used. */
	r = choice_init(&client.keys, options.nr_keys, 1, 0, 0, CHOICE_SCATTERED, options.seed);
	if (r == 0)
		r = zipf_init(&client.zipf, options.nr_keys, options.exponent);
	if (r < 0)
		usage_error(strerror(-r));

	catch_signals();
	r = connect_to_server(&client);
	if (r == 0)
		r = run(&client, job);
	redisFree(client.redis);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
