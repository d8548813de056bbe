// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>

#include "choice.h"

static void permutation_init(struct choice_permutation *p, uint64_t nr, uint64_t seed)
{
	uint32_t bits = 2;

	while (1ull << bits < nr)
		bits++;
	p->nr = nr;
	p->mask = (1ull << bits) - 1;
	p->half = bits / 2;
	for (int i = 0; i < 3; i++) {
		p->odd[i] = choice_random(&seed) | 1;
		p->plus[i] = choice_random(&seed);
	}
}

/* 1.0 is 2^32: above every 32-bit number, so that "always" is always. */
static uint64_t fixed_share(double share)
{
	return (uint64_t)(share * 4294967296.0);
}

int choice_init(struct choice *choice, uint64_t nr_pages, uint64_t nr_hot, double hot_share,
		double write_share, enum choice_layout layout, uint64_t seed)
{
	bool blocks = layout == CHOICE_BLOCKS;

	if (nr_pages == 0 || nr_pages >> 32 || nr_hot == 0 || nr_hot > nr_pages)
		return -EINVAL;
	if (!(hot_share >= 0 && hot_share <= 1 && write_share >= 0 && write_share <= 1))
		return -EINVAL;
	if (blocks && nr_pages & ((1 << CHOICE_BLOCK_SHIFT) - 1))
		return -EINVAL;

	choice->nr_pages = nr_pages;
	choice->nr_hot = nr_hot;
	choice->nr_warm = 0;
	choice->hot_share = fixed_share(hot_share);
	choice->warm_share = 0;
	choice->write_share = fixed_share(write_share);
	choice->layout = layout;
	permutation_init(&choice->permutation, blocks ? nr_pages >> CHOICE_BLOCK_SHIFT : nr_pages,
			 seed);
	return 0;
}

int choice_set_warm(struct choice *choice, uint64_t nr_warm, double warm_share)
{
	if (nr_warm > choice->nr_pages - choice->nr_hot)
		return -EINVAL;
	if (!(warm_share >= 0 && warm_share <= 1) || (nr_warm == 0 && warm_share > 0))
		return -EINVAL;
	if (choice->hot_share + fixed_share(warm_share) > fixed_share(1))
		return -EINVAL;

	choice->nr_warm = nr_warm;
	choice->warm_share = fixed_share(warm_share);
	return 0;
}
