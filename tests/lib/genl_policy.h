/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The policies that the kernel says the module has, against the grammar. */
#ifndef EMBER_TESTS_GENL_POLICY_H
#define EMBER_TESTS_GENL_POLICY_H

#include "ember_nl.h"

/* Prints each difference; returns their number, or a negative errno. */
int genl_policy_compare(struct ember_nl *nl);

#endif /* EMBER_TESTS_GENL_POLICY_H */
