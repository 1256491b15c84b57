/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the guards read of the kernel's own structs: only these members, wherever this kernel has them (CO-RE). Layouts
 * here mean nothing.
 */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	__u32 val;
} kuid_t;

typedef struct {
	__u32 val;
} kgid_t;

struct group_info {
	int ngroups;
	kgid_t gid[0];
};

struct cred {
	kuid_t uid;
	kuid_t euid;
	kgid_t egid;
	struct group_info *group_info;
};

struct kernfs_node {
	const char *name;
	__u64 id;
};

struct cgroup {
	int level;
	struct kernfs_node *kn;
	struct cgroup *ancestors[0];
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct qstr {
	const unsigned char *name;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
};

struct super_block {
	__u32 s_dev;
};

struct inode {
	unsigned long i_ino;
	struct super_block *i_sb;
};

struct path {
	struct dentry *dentry;
};

struct file {
	struct path f_path;
	struct inode *f_inode;
};

struct mm_struct {
	struct file *exe_file;
};

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
	__u64 net_cookie;
};

struct nsproxy {
	struct net *net_ns;
};

struct task_struct {
	const struct cred *cred;
	struct css_set *cgroups;
	struct mm_struct *mm;
	struct nsproxy *nsproxy;
	struct task_struct *real_parent;
	int tgid;
	kuid_t loginuid;
	unsigned int sessionid;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

struct sock_common {
	__u16 skc_num;
	possible_net_t skc_net;
};

struct sock {
	struct sock_common __sk_common;
	kuid_t sk_uid;
	__u8 sk_kern_sock : 1;
	__u8 sk_userlocks : 4;
	struct sock_cgroup_data sk_cgrp_data;
};

#pragma clang attribute pop
