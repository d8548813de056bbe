/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages from the grammar of genl_grammar.h: good ones, good ones with one thing wrong,
 * with several, with damaged bytes, and noise. The same seed makes the same messages.
 *
 * Whatever is wrong with them, they are for the family ember, for no family at all, or
 * control messages that netlink ignores: other families must not get garbage from root.
 */
#ifndef EMBER_TESTS_GENL_MAKE_H
#define EMBER_TESTS_GENL_MAKE_H

#include <linux/netlink.h>

#include "genl_grammar.h"

#define GENL_MAX_BYTES (256UL << 10) /* more than a socket lets through */
#define GENL_MAX_MESSAGES 64         /* that netlink may see in one datagram */
#define GENL_NR_FAULTS 24            /* room for that many kinds */

struct genl_datagram {
	unsigned int nr_made; /* messages, as they were made; netlink may see others */
	size_t len;
	uint8_t data[GENL_MAX_BYTES] __attribute__((aligned(8)));
};

/* One datagram of at most max messages. */
void genl_make(struct genl_maker *maker, unsigned int max, struct genl_datagram *ret_datagram);

/* How often each kind of fault was made by this process, and its name; NULL: no more. */
const char *genl_fault(unsigned int i, uint64_t *ret_nr);

/* The next whole message from *pos on, as netlink cuts a datagram up, or NULL. */
struct nlmsghdr *genl_next(struct genl_datagram *datagram, size_t *pos);

#endif /* EMBER_TESTS_GENL_MAKE_H */
