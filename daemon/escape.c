// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "escape.h"

static unsigned int sequence_length(uint8_t lead)
{
	if (lead < 0x80)
		return 1;
	if (lead >= 0xc2 && lead < 0xe0)
		return 2;
	if (lead >= 0xe0 && lead < 0xf0)
		return 3;
	if (lead >= 0xf0 && lead < 0xf5)
		return 4;
	return 0;
}

/* Length of the UTF-8 character at @s and its code point; 0 if there is none within @len bytes. */
static unsigned int decode(const uint8_t *s, size_t len, uint32_t *ret)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned int n = sequence_length(*s);
	uint32_t c;

	if (n == 0 || n > len)
		return 0;
	c = n == 1 ? *s : *s & (0x7f >> n);
	for (unsigned int i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff)
		return 0;
	*ret = c;
	return n;
}

static bool is_harmless(uint32_t c)
{
	static const uint32_t harmful[][2] = {
	    {0x00, 0x1f},       {0x7f, 0x9f},     /* control characters */
	    {0x061c, 0x061c},   {0x200b, 0x200f}, /* without width, direction marks */
	    {0x2028, 0x202e},   {0x2060, 0x206f}, /* line ends, embeddings, isolates */
	    {0xd800, 0xdfff},   {0xfdd0, 0xfdef}, /* surrogates, noncharacters */
	    {0xfeff, 0xfeff},   {0xfff9, 0xfffb}, /* byte order, annotations */
	    {0xe0000, 0xe007f},                   /* tags: invisible */
	};

	for (size_t i = 0; i < sizeof(harmful) / sizeof(harmful[0]); i++)
		if (c >= harmful[i][0] && c <= harmful[i][1])
			return false;
	return (c & 0xfffe) != 0xfffe; /* sd-json refuses these noncharacters, too */
}

/* One character of the result in @ret; the number of bytes of @s that it stands for. */
static unsigned int escape_one(const uint8_t *s, size_t len, char ret[5])
{
	uint32_t c = 0;
	unsigned int n = decode(s, len, &c);

	if (n == 0 || !is_harmless(c)) {
		snprintf(ret, 5, "\\x%02x", *s);
		return 1;
	}
	if (c == '\\') {
		memcpy(ret, "\\\\", 3);
		return 1;
	}
	memcpy(ret, s, n);
	ret[n] = '\0';
	return n;
}

void ember_escape(const char *s, size_t max, char *ret, size_t size)
{
	size_t len = strnlen(s, max), used = 0;

	for (size_t at = 0; at < len;) {
		char one[5];
		size_t n;

		at += escape_one((const uint8_t *)s + at, len - at, one);
		n = strlen(one);
		if (used + n >= size)
			break;
		memcpy(ret + used, one, n);
		used += n;
	}
	ret[used] = '\0';
}
