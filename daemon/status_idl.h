/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The interface io.ember.Daemon, as docs/varlink/io.ember.Daemon.varlink has it in text. */
#ifndef EMBER_STATUS_IDL_H
#define EMBER_STATUS_IDL_H

#include <systemd/sd-varlink-idl.h>

extern const sd_varlink_interface ember_status_interface;

#endif
