// SPDX-License-Identifier: GPL-2.0
/*
 * Only the ports that give out metadata or credentials: name servers, clocks, DHCP and health probes answer at some of
 * these addresses, too. docs/weir-rules.5 has the same table; t-lang compares them.
 */
#include "providers.h"

#include "policy.h"
#include "words.h"

const struct provider providers[] = {
	{ "aws",
	  "Amazon EC2 User Guide: Access instance metadata for an EC2 instance",
	  { { "169.254.169.254", 80, TOKEN_AWS }, { "fd00:ec2::254", 80, TOKEN_AWS } } },
	{ "ecs",
	  "Amazon ECS Developer Guide: Amazon ECS task IAM role, Amazon ECS task metadata endpoint version 4",
	  { { "169.254.170.2", 80, 0 } } },
	{ "eks",
	  "Amazon EKS User Guide: Set up the Amazon EKS Pod Identity Agent",
	  { { "169.254.170.23", 80, 0 }, { "fd00:ec2::23", 80, 0 } } },
	{ "gcp",
	  "Google Compute Engine: View and query VM metadata",
	  { { "169.254.169.254", 80, TOKEN_GCP },
	    { "169.254.169.254", 443, 0 },
	    { "fd20:ce::254", 80, TOKEN_GCP },
	    { "fd20:ce::254", 443, 0 } } },
	{ "azure",
	  "Azure: Azure Instance Metadata Service for virtual machines, What is IP address 168.63.129.16",
	  { { "169.254.169.254", 80, TOKEN_AZURE }, { "168.63.129.16", 80, 0 }, { "168.63.129.16", 32526, 0 } } },
	{ "oracle",
	  "Oracle Cloud Infrastructure: Instance Metadata Service v2; IPv6: its SDK for Python",
	  { { "169.254.169.254", 80, TOKEN_ORACLE }, { "fd00:c1::a9fe:a9fe", 80, TOKEN_ORACLE } } },
	{ "alibaba",
	  "Alibaba Cloud Elastic Compute Service: Instance metadata; IPv6: DataSourceAliYun of cloud-init",
	  { { "100.100.100.200", 80, TOKEN_ALIBABA }, { "fd00:100::100:200", 80, TOKEN_ALIBABA } } },
	{ "digitalocean", "DigitalOcean: Droplet Metadata API", { { "169.254.169.254", 80, 0 } } },
	{ "hetzner", "Hetzner Cloud: Server metadata", { { "169.254.169.254", 80, 0 } } },
	{ "openstack",
	  "OpenStack Nova: Metadata service; IPv6: Neutron, Metadata service query with IPv6",
	  { { "169.254.169.254", 80, 0 }, { "fe80::a9fe:a9fe", 80, 0 } } },
	{ "linode",
	  "Akamai Cloud (Linode): Overview of the Metadata service",
	  { { "169.254.169.254", 80, 0 }, { "fd00:a9fe:a9fe::1", 80, 0 } } },
	{ "scaleway",
	  "Scaleway Instances: Use the metadata API",
	  { { "169.254.42.42", 80, 0 }, { "fd00:42::42", 80, 0 } } },
	{ "vultr", "Vultr: Metadata API", { { "169.254.169.254", 80, 0 } } },
	{ NULL, NULL, { { NULL, 0, 0 } } },
};

const struct provider *provider_find(const char *name, size_t length)
{
	for (const struct provider *p = providers; p->name; p++)
		if (word_is(name, length, p->name))
			return p;
	return NULL;
}
