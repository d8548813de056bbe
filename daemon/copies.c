// SPDX-License-Identifier: GPL-2.0-or-later
#include "copies.h"

enum ember_copies_notice ember_copies_notice(bool dma_wanted, uint32_t channels, bool *missing)
{
	bool was_missing = *missing;

	*missing = dma_wanted && !channels;
	if (*missing == was_missing || !dma_wanted)
		return EMBER_COPIES_QUIET;
	return *missing ? EMBER_COPIES_NO_CHANNEL : EMBER_COPIES_CHANNELS;
}
