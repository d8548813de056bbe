// SPDX-License-Identifier: GPL-2.0-or-later
/* Inside, ranks count from 1, as in the paper; its names are h (here bar), H and its inverse. */
#include <errno.h>
#include <math.h>

#include "choice.h"
#include "zipf.h"

/* expm1(x) / x and log1p(x) / x near 0, where the quotients lose their digits. */
#define NEAR_ZERO 1e-8

static double expm1_over(double x)
{
	return fabs(x) > NEAR_ZERO ? expm1(x) / x : 1 + x / 2;
}

static double log1p_over(double x)
{
	return fabs(x) > NEAR_ZERO ? log1p(x) / x : 1 - x / 2;
}

/* Height of the bar of a rank, and of the hat above it. */
static double bar(const struct zipf *zipf, double x)
{
	return exp(-zipf->exponent * log(x));
}

/* The hat's integral from 1 to x: (x^(1-s) - 1) / (1-s), and log x where s is 1. */
static double area(const struct zipf *zipf, double x)
{
	double log_x = log(x);

	return log_x * expm1_over((1 - zipf->exponent) * log_x);
}

/* x of a given area. Rounding may put the argument of log1p() below -1: beyond the last rank. */
static double area_inverse(const struct zipf *zipf, double y)
{
	double t = (1 - zipf->exponent) * y;

	return exp(y * log1p_over(t < -1 ? -1 : t));
}

int zipf_init(struct zipf *zipf, uint64_t nr, double exponent)
{
	if (nr == 0 || nr > 1ull << 52 || !(exponent > 0 && exponent <= ZIPF_MAX_EXPONENT))
		return -EINVAL;

	zipf->nr = nr;
	zipf->exponent = exponent;
	/* The first bar is given exactly its own area, so that rank 1 is never refused. */
	zipf->area_first = area(zipf, 1.5) - 1;
	zipf->area_end = area(zipf, nr + 0.5);
	zipf->sure = 2 - area_inverse(zipf, area(zipf, 2.5) - bar(zipf, 2));
	return 0;
}

/* In [0, 1), with 53 bits. */
static double uniform(uint64_t *state)
{
	return (choice_random(state) >> 11) * 0x1p-53;
}

uint64_t zipf_next(const struct zipf *zipf, uint64_t *state)
{
	for (;;) {
		double y = zipf->area_end + uniform(state) * (zipf->area_first - zipf->area_end);
		double x = area_inverse(zipf, y);
		double rank = fmin(fmax(floor(x + 0.5), 1), zipf->nr);

		if (rank - x <= zipf->sure || y >= area(zipf, rank + 0.5) - bar(zipf, rank))
			return (uint64_t)rank - 1;
	}
}
