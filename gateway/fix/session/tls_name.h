// The name in a venue's certificate. QuickFIX 1.15 checks that the chain leads to the CA file and
// no more: any certificate that the same authority signed for anybody would do.
#pragma once

#include <string>

namespace millrace {
namespace fix {

/// While it lives, OpenSSL takes no server's certificate in this process that is not of the name
/// that was asked for. That holds for every library here that asks for no name of its own, so all
/// who live at a time must mean one: another would silently turn the first venue's reconnects away.
class TlsName {
public:
    TlsName() = default;
    ~TlsName();
    TlsName(const TlsName&) = delete;
    TlsName& operator=(const TlsName&) = delete;

    /// @param name a host name (RFC 6125: DNS names of subjectAltName, or the common name where
    /// there is none) or an IP address (of subjectAltName). Once an object.
    /// @return empty, or what is wrong: another name is in use, or OpenSSL refuses it.
    /// Threads: any; none may be in the first TLS handshake of a name.
    std::string expect(const std::string& name);

private:
    bool counted_ = false;
};

}  // namespace fix
}  // namespace millrace
