/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A page whose contents can be told to be right: it says where it belongs, which generation of its
 * contents this is, and ends in a checksum. What it should say is kept elsewhere, so that an old
 * copy is found as well as a damaged one. A counter in it is increased atomically; the sum over all
 * pages must be the sum of the increases, so that a single lost update shows.
 */
#ifndef EMBER_TESTS_IMAGE_H
#define EMBER_TESTS_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMAGE_BODY_WORDS 507 /* page without the other fields of struct image */

struct image {
	uint64_t place;
	uint64_t generation;
	uint64_t seed;
	uint64_t body[IMAGE_BODY_WORDS];
	uint64_t checksum; /* of all the above */
	uint64_t counter;  /* not covered by it */
};
_Static_assert(sizeof(struct image) == 4096, "an image is a page");

/* What a page should say; locked while somebody reads or writes it. */
struct truth {
	uint64_t generation;
	uint32_t lock;
};

/* Leaves the counter alone. */
void image_write(struct image *image, uint64_t place, uint64_t generation);
bool image_is(const struct image *image, uint64_t place, uint64_t generation);
/* Says what is wrong with it, in one line. */
void image_print(const struct image *image, uint64_t place, uint64_t generation);
uint64_t image_sum(const struct image *images, size_t nr);

void truth_lock(struct truth *truth);
void truth_unlock(struct truth *truth);

uint64_t random_next(uint64_t *state);

#endif /* EMBER_TESTS_IMAGE_H */
