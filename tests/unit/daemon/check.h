/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What every cmocka test includes, in the order cmocka wants. */
#ifndef EMBER_TEST_CHECK_H
#define EMBER_TEST_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NR(array) (sizeof(array) / sizeof((array)[0]))

#endif
