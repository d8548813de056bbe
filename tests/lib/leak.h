/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel keeps for the module: what a test must leave as it found it. Objects are
 * counted by the call chains that slub_debug=U records, so that one that is lost in a
 * million shows.
 */
#ifndef EMBER_TESTS_LEAK_H
#define EMBER_TESTS_LEAK_H

struct leak_books {
	long nr_objects;        /* of slab caches, allocated on behalf of the module */
	long unreclaimable_kib; /* slab that is no cache of files, larger objects included */
	long free_kib;          /* of all nodes, with what caches would give back */
	int module_refs;
};

/* Waits until nothing that is freed late is left, a few seconds at most. Both exit on failure. */
void leak_begin(struct leak_books *ret_before);
/* Waits until nr_objects and module_refs are down to what they were, a few seconds at most. */
void leak_end(const struct leak_books *before, struct leak_books *ret_after);
/* Print the call chains behind nr_objects. */
void leak_show(void);

#endif /* EMBER_TESTS_LEAK_H */
