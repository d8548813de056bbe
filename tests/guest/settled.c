/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For scripts: is anything left behind (tests/lib/settled.h)?
 *
 *	settled save FILE	before
 *	settled check FILE	after
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/expect.h"
#include "tests/lib/settled.h"

int main(int argc, char **argv)
{
	bool save = argc == 3 && !strcmp(argv[1], "save");
	struct settled state;
	FILE *f;

	if (argc != 3 || (!save && strcmp(argv[1], "check")))
		fail("usage: settled save|check FILE");
	f = fopen(argv[2], save ? "we" : "re");
	if (!f)
		fail("%s: %s", argv[2], strerror(errno));
	if (save)
		settled_read(&state);
	if ((save ? fwrite(&state, sizeof(state), 1, f) : fread(&state, sizeof(state), 1, f)) != 1)
		fail("%s", argv[2]);
	fclose(f);
	if (!save)
		expect_failures += !settled_expect(&state, "all of them");
	return expect_status();
}
