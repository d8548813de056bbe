/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image.h"

#include <sched.h>
#include <stdio.h>

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 31)) * 0x9e3779b97f4a7c15ULL;
	return x ^ (x >> 29);
}

uint64_t random_next(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15ULL;
	return mix(*state);
}

static uint64_t checksum(const struct image *image)
{
	const uint64_t *words = (const uint64_t *)image;
	uint64_t sum = 0;

	for (size_t i = 0; i < 3 + IMAGE_BODY_WORDS; i++)
		sum = (sum << 1 | sum >> 63) ^ words[i];
	return sum;
}

void image_write(struct image *image, uint64_t place, uint64_t generation)
{
	image->place = place;
	image->generation = generation;
	image->seed = mix(place ^ generation);
	for (size_t i = 0; i < IMAGE_BODY_WORDS; i++)
		image->body[i] = image->seed + i;
	image->checksum = checksum(image);
}

bool image_is(const struct image *image, uint64_t place, uint64_t generation)
{
	return image->place == place && image->generation == generation &&
	       image->seed == mix(place ^ generation) && image->checksum == checksum(image);
}

void image_print(const struct image *image, uint64_t place, uint64_t generation)
{
	printf("mismatch: page %#lx says it is %#lx, generation %lu (want %lu), checksum %s\n",
	       (unsigned long)place, (unsigned long)image->place, (unsigned long)image->generation,
	       (unsigned long)generation, image->checksum == checksum(image) ? "good" : "bad");
	fflush(stdout);
}

uint64_t image_sum(const struct image *images, size_t nr)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < nr; i++)
		sum += images[i].counter;
	return sum;
}

void truth_lock(struct truth *truth)
{
	while (__atomic_exchange_n(&truth->lock, 1, __ATOMIC_ACQUIRE))
		sched_yield();
}

void truth_unlock(struct truth *truth)
{
	__atomic_store_n(&truth->lock, 0, __ATOMIC_RELEASE);
}
