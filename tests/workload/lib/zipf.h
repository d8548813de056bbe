/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Zipf-distributed ranks without a table: of nr ranks from 0 on, rank k comes with a
 * probability proportional to 1 / (k + 1)^exponent.
 *
 * Rejection-inversion: W. Hörmann, G. Derflinger, "Rejection-inversion to generate variates
 * from monotone discrete distributions", ACM TOMACS 6(3), 1996. A point below the
 * continuous hat x^-exponent is drawn by inverting its integral, and refused where it lies
 * above the bar of the nearest rank; more than nine of ten are taken.
 */
#ifndef WORKLOAD_ZIPF_H
#define WORKLOAD_ZIPF_H

#include <stdint.h>

#define ZIPF_MAX_EXPONENT 10.0

struct zipf {
	uint64_t nr;
	double exponent;
	double area_first; /* where the hat's integral begins and ends */
	double area_end;
	double sure; /* this close below a rank nothing is refused */
};

/*
 * Returns 0, or -EINVAL unless nr is from 1 to 2^52 (exact in a double) and exponent is
 * above 0 and at most ZIPF_MAX_EXPONENT.
 */
int zipf_init(struct zipf *zipf, uint64_t nr, double exponent);

/* The next rank, below zipf->nr; state is choice_random()'s. */
uint64_t zipf_next(const struct zipf *zipf, uint64_t *state);

#endif /* WORKLOAD_ZIPF_H */
