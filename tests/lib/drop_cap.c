/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "drop_cap.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "expect.h"

void drop_cap(unsigned int cap)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2];

	if (syscall(SYS_capget, &header, caps))
		fail("capget: %s", strerror(errno));
	caps[CAP_TO_INDEX(cap)].effective &= ~CAP_TO_MASK(cap);
	if (syscall(SYS_capset, &header, caps))
		fail("capset: %s", strerror(errno));
}
