/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ownership by scope. A variable marked with one of these gives up what it owns
 * when it leaves scope; ownership goes elsewhere only through TAKE_PTR/TAKE_FD.
 */
#ifndef EMBER_UTIL_CLEANUP_H
#define EMBER_UTIL_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

static inline void ember_freep(void *p)
{
	free(*(void **)p);
}

static inline void ember_closep(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void ember_fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void ember_closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

#define _cleanup_free_ _cleanup_(ember_freep)
#define _cleanup_close_ _cleanup_(ember_closep)
#define _cleanup_fclose_ _cleanup_(ember_fclosep)
#define _cleanup_closedir_ _cleanup_(ember_closedirp)

#define TAKE_PTR(p)                                                                                \
	({                                                                                         \
		__typeof__(p) take_tmp_ = (p);                                                     \
		(p) = NULL;                                                                        \
		take_tmp_;                                                                         \
	})

#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int take_tmp_ = (fd);                                                              \
		(fd) = -1;                                                                         \
		take_tmp_;                                                                         \
	})

#endif
