/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The object that GetStatus() returns, as text for people. Pure. */
#ifndef EMBER_CTL_RENDER_H
#define EMBER_CTL_RENDER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <systemd/sd-json.h>

struct render_options {
	bool colour;
	bool areas;      /* list newly found areas below each process */
	uint64_t now_ns; /* CLOCK_MONOTONIC, to tell a snapshot that is too old; 0: not told */
};

/* 0; -EPROTO: @status lacks what every version has. Nothing is printed then. */
int render_status(sd_json_variant *status, const struct render_options *options, FILE *out);

/* @text with what is not safe to print on a terminal as \u{…}; for the current LC_CTYPE. */
void render_name(const char *text, FILE *out);

/* "512.0 MiB", at least @width columns wide. */
void render_bytes(uint64_t value, int width, FILE *out);

#endif
