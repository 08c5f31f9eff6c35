/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What tests within objects report through: a map that holds protocol buffers,
 * written byte by byte. A cursor is passed along by hand; every field has a tag
 * and, but for numbers, a length before it.
 */
#pragma once
#include <vmlinux.h>
#include <bpf_helpers.h>

#ifndef FIRST
#define FIRST 0 /* of the four statuses; 100 in the later generation */
#endif
enum { TEST_ERROR = FIRST, TEST_PASS, TEST_FAIL, TEST_SKIP };

enum { TAG_TEST = 0x0a, TAG_SUITE_LOG = 0x12, TAG_NAME = 0x0a, TAG_STATUS = 0x10, TAG_TEST_LOG = 0x1a, TAG_FORMAT = 0x0a, TAG_ARGUMENT = 0x11 };

#define PKTGEN(type, name) SEC(type "/test/" name "/pktgen")
#define SETUP(type, name) SEC(type "/test/" name "/setup")
#define CHECK(type, name) SEC(type "/test/" name "/check")
#define TAIL(table, slot) __attribute__((btf_decl_tag("tail:" #table "/" #slot)))

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, 8192);
	__uint(pinning, 1 /* LIBBPF_PIN_BY_NAME */);
} suite_result_map SEC(".maps");

static __always_inline __u8 *results(void)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&suite_result_map, &key);
}

/* Writes a line of the log, with its argument if there is one. */
#define LOG(cursor, tag, format) do { \
	static const char text_[] = format; \
	*cursor++ = (tag); \
	*cursor++ = 2 + sizeof(text_); \
	*cursor++ = TAG_FORMAT; \
	*cursor++ = sizeof(text_); \
	__builtin_memcpy(cursor, text_, sizeof(text_)); \
	cursor += sizeof(text_); \
} while (0)

#define LOG1(cursor, tag, format, argument) do { \
	static const char text_[] = format; \
	*cursor++ = (tag); \
	*cursor++ = 2 + sizeof(text_) + 9; \
	*cursor++ = TAG_FORMAT; \
	*cursor++ = sizeof(text_); \
	__builtin_memcpy(cursor, text_, sizeof(text_)); \
	cursor += sizeof(text_); \
	*cursor++ = TAG_ARGUMENT; \
	*(__u64 *)cursor = (argument); \
	cursor += 8; \
} while (0)

/* A sub-test: two bytes for its length stay free until its end. */
#define BEGIN(cursor, name) \
	__u8 *length_, *status_; \
	do { \
		static const char text_[] = name; \
		*cursor++ = TAG_TEST; \
		length_ = cursor; \
		cursor += 2; \
		*cursor++ = TAG_NAME; \
		*cursor++ = sizeof(text_); \
		__builtin_memcpy(cursor, text_, sizeof(text_)); \
		cursor += sizeof(text_); \
		*cursor++ = TAG_STATUS; \
		status_ = cursor++; \
		*status_ = TEST_PASS; \
	} while (0)

#define STATUS(status) (*status_ = (status))

#define END(cursor) do { \
	__u16 size_ = cursor - length_ - 2; \
	length_[0] = (size_ & 0x7f) | 0x80; \
	length_[1] = size_ >> 7; \
} while (0)
