// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"

#include <errno.h>

#include "lease.h"

#define SEC 1000000000ULL

/* A helper that is not there is asked again after 5 s, then twice as long each time, up to a
 * minute. */
static void test_asks_again_later(void **state)
{
	static const unsigned int waits_s[] = {5, 10, 20, 40, 60, 60};
	struct ember_lease lease;
	uint64_t now = 1000 * SEC;
	char reply[128];

	(void)state;
	ember_lease_init(&lease, "/nonexistent/socket");
	for (size_t i = 0; i < NR(waits_s); i++) {
		assert_int_equal(
		    ember_lease_take(&lease, EMBER_LEASE_DAMON_STAT, now, reply, sizeof(reply)),
		    -ENOENT);
		now += waits_s[i] * SEC;
		assert_int_equal(ember_lease_take(&lease, EMBER_LEASE_NUMA_BALANCING, now - 1,
						  reply, sizeof(reply)),
				 -EAGAIN);
	}
	assert_false(ember_lease_holds(&lease, EMBER_LEASE_DAMON_STAT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_asks_again_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
