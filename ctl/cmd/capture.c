// SPDX-License-Identifier: GPL-2.0
#include "capture.h"

#include <dlfcn.h>
#include <errno.h>
#include <net/ethernet.h>
#include <stdlib.h>
#include <string.h>

#include <pcap/pcap.h>
#include <pcap/sll.h>

/*
 * libpcap is loaded when it is needed: with it come D-Bus, systemd and libgcrypt, whose start takes longer than
 * most commands do.
 */
static struct {
	__typeof__(pcap_open_offline) *open_offline;
	__typeof__(pcap_close) *close;
	__typeof__(pcap_datalink) *datalink;
	__typeof__(pcap_datalink_val_to_name) *datalink_val_to_name;
	__typeof__(pcap_next_ex) *next_ex;
	__typeof__(pcap_geterr) *geterr;
} lib;

static int lib_load(struct diag *diag)
{
	void *handle = dlopen("libpcap.so.0.8", RTLD_NOW); /* Debian's name for it */

	if (!handle)
		handle = dlopen("libpcap.so.1", RTLD_NOW);
	if (handle) {
		lib.open_offline = dlsym(handle, "pcap_open_offline");
		lib.close = dlsym(handle, "pcap_close");
		lib.datalink = dlsym(handle, "pcap_datalink");
		lib.datalink_val_to_name = dlsym(handle, "pcap_datalink_val_to_name");
		lib.next_ex = dlsym(handle, "pcap_next_ex");
		lib.geterr = dlsym(handle, "pcap_geterr");
	}
	if (lib.open_offline && lib.close && lib.datalink && lib.datalink_val_to_name && lib.next_ex && lib.geterr)
		return 0;
	diag_error(diag, (struct location){ 0 }, "cannot read captures: libpcap is not installed");
	diag_hint(diag, "on Debian: apt install libpcap0.8");
	return -ENOSYS;
}

struct capture {
	pcap_t *pcap;
	char *path;
	int dlt;
	enum capture_link link;
	uint64_t n;         /* packets read */
	int64_t first_ns;   /* when the first one was taken */
	uint8_t *rewritten; /* cooked frames with their made-up header */
	size_t capacity;
};

static int link_of(int dlt, enum capture_link *ret)
{
	switch (dlt) {
	case DLT_EN10MB:
		*ret = CAPTURE_ETHERNET;
		return 0;
	case DLT_RAW:
	case DLT_IPV4:
	case DLT_IPV6:
		*ret = CAPTURE_RAW_IP;
		return 0;
	case DLT_LINUX_SLL:
	case DLT_LINUX_SLL2:
		*ret = CAPTURE_COOKED;
		return 0;
	default:
		return -EPROTONOSUPPORT;
	}
}

int capture_open(struct capture **ret, const char *path, struct diag *diag)
{
	const char *shown = strcmp(path, "-") ? path : "standard input";
	struct capture *capture = calloc(1, sizeof(*capture));
	char reason[PCAP_ERRBUF_SIZE] = "";

	if (!capture)
		return diag_oom(diag);
	if (lib_load(diag)) {
		free(capture);
		return -ENOSYS;
	}
	capture->path = strdup(shown);
	if (!capture->path) {
		capture_close(capture);
		return diag_oom(diag);
	}
	capture->pcap = lib.open_offline(path, reason);
	if (!capture->pcap) {
		size_t length = strlen(path);

		/* Some reasons begin with the path, some do not. */
		if (!strncmp(reason, path, length) && !strncmp(reason + length, ": ", 2))
			memmove(reason, reason + length + 2, strlen(reason + length + 2) + 1);
		diag_error(diag, (struct location){ 0 }, "cannot read the capture '%s': %s", shown, reason);
		capture_close(capture);
		return -EINVAL;
	}
	capture->dlt = lib.datalink(capture->pcap);
	if (link_of(capture->dlt, &capture->link)) {
		const char *name = lib.datalink_val_to_name(capture->dlt);

		diag_error(diag, (struct location){ 0 }, "cannot judge the capture '%s': its link type is %s (%d)",
			   shown, name ? name : "unknown", capture->dlt);
		diag_hint(diag, "one of: Ethernet, raw IP, Linux cooked; capture on the device itself");
		capture_close(capture);
		return -EPROTONOSUPPORT;
	}
	*ret = capture;
	return 0;
}

enum capture_link capture_link(const struct capture *capture)
{
	return capture->link;
}

/*
 * The cooked header has the EtherType, but no destination address and a source address only sometimes: both are
 * made up, and explain refuses rules that look at them. A header that is cut off leaves an empty frame.
 */
static int rewrite_cooked(struct capture *capture, struct capture_frame *frame)
{
	bool second = capture->dlt == DLT_LINUX_SLL2;
	size_t header = second ? SLL2_HDR_LEN : SLL_HDR_LEN, type_at = second ? 0 : SLL_HDR_LEN - 2;
	size_t length = frame->length < header ? 0 : frame->length - header + ETH_HLEN;
	uint16_t type;

	if (length > capture->capacity) {
		uint8_t *grown = realloc(capture->rewritten, length);

		if (!grown)
			return -ENOMEM;
		capture->rewritten = grown;
		capture->capacity = length;
	}
	if (length) {
		memset(capture->rewritten, 0, ETH_HLEN - 2);
		type = (uint16_t)(frame->bytes[type_at] << 8 | frame->bytes[type_at + 1]);
		/* Below 0x600 stands a Linux number for a frame that had a length there: the length of the rest. */
		if (type < 0x600)
			type = (uint16_t)(frame->wire_length - header < 0x600 ? frame->wire_length - header : 0x5ff);
		capture->rewritten[ETH_HLEN - 2] = (uint8_t)(type >> 8);
		capture->rewritten[ETH_HLEN - 1] = (uint8_t)type;
		memcpy(capture->rewritten + ETH_HLEN, frame->bytes + header, frame->length - header);
	}
	frame->bytes = capture->rewritten;
	frame->length = length;
	frame->wire_length = frame->wire_length < header ? 0 : frame->wire_length - header + ETH_HLEN;
	return 0;
}

int capture_next(struct capture *capture, struct capture_frame *ret, struct diag *diag)
{
	struct pcap_pkthdr *header;
	struct capture_frame frame;
	const u_char *bytes;
	int64_t now;
	int rc = lib.next_ex(capture->pcap, &header, &bytes);

	if (rc == PCAP_ERROR_BREAK)
		return 0;
	if (rc != 1)
		return diag_error(diag, (struct location){ 0 }, "cannot read packet %llu of the capture '%s': %s",
				  (unsigned long long)capture->n + 1, capture->path, lib.geterr(capture->pcap));
	capture->n++;
	now = header->ts.tv_sec * 1000000000ll + header->ts.tv_usec * 1000ll;
	if (capture->n == 1)
		capture->first_ns = now;
	frame = (struct capture_frame){ bytes, header->caplen,
					header->len > header->caplen ? header->len : header->caplen,
					now > capture->first_ns ? now - capture->first_ns : 0 };
	if (capture->link == CAPTURE_COOKED && rewrite_cooked(capture, &frame))
		return diag_oom(diag);
	*ret = frame;
	return 1;
}

void capture_close(struct capture *capture)
{
	if (capture->pcap)
		lib.close(capture->pcap);
	free(capture->rewritten);
	free(capture->path);
	free(capture);
}
