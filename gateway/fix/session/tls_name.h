// The name in a venue's certificate. QuickFIX 1.15 checks that the chain leads to the CA file and
// no more: any certificate that the same authority signed for anybody would do.
#pragma once

#include <string>

namespace millrace {
namespace fix {

/// From now on OpenSSL takes no server's certificate in this process that is not of `name`, a host
/// name (RFC 6125: DNS names of subjectAltName, or the common name where there is none) or an IP
/// address (of subjectAltName). One name a process; a later call replaces it.
/// Threads: none may be in a TLS handshake. @return empty, or what is wrong.
std::string expect_tls_name(const std::string& name);

}  // namespace fix
}  // namespace millrace
