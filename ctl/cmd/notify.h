/* SPDX-License-Identifier: GPL-2.0 */
/* What a service manager is told, as of sd_notify(3). */
#pragma once

/* "READY=1\nSTATUS=..."; nothing where nobody asked for it ($NOTIFY_SOCKET), and no error where nobody listens. */
void notify(const char *format, ...) __attribute__((format(printf, 1, 2)));
