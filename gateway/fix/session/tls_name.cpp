#include "gateway/fix/session/tls_name.h"

#include <arpa/inet.h>

#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <mutex>

namespace millrace {
namespace fix {
namespace {

std::mutex g_mutex;
std::string g_name;    // that OpenSSL was told last
unsigned g_users = 0;  // of it

// QuickFIX keeps its SSL_CTX to itself. But whatever verifies a server's chain begins with the
// parameters that OpenSSL has under the name "ssl_server" (X509_STORE_CTX_set_default in
// ssl_verify_cert_chain), and those of the application come before the built-in ones
// (X509_VERIFY_PARAM_add0_table). Rejected: to patch the library, or a proxy for everybody.
std::string tell_openssl(const std::string& name) {
    X509_VERIFY_PARAM* const param = X509_VERIFY_PARAM_new();
    if (param == nullptr) {
        return "TLS: no memory";
    }
    unsigned char address[sizeof(in6_addr)];
    const bool is_address = ::inet_pton(AF_INET, name.c_str(), address) == 1 ||
                            ::inet_pton(AF_INET6, name.c_str(), address) == 1;
    const bool named = is_address ? X509_VERIFY_PARAM_set1_ip_asc(param, name.c_str()) == 1
                                  : X509_VERIFY_PARAM_set1_host(param, name.c_str(), 0) == 1;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    // As the built-in parameters of that name have them.
    const bool purposed = X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER) == 1 &&
                          X509_VERIFY_PARAM_set_trust(param, X509_TRUST_SSL_SERVER) == 1;
    if (!named || !purposed || X509_VERIFY_PARAM_set1_name(param, "ssl_server") != 1 ||
        X509_VERIFY_PARAM_add0_table(param) != 1) {
        X509_VERIFY_PARAM_free(param);
        return "TLS: cannot ask for the name \"" + name + "\" in a certificate";
    }
    return "";
}

}  // namespace

std::string TlsName::expect(const std::string& name) {
    const std::lock_guard<std::mutex> lock{g_mutex};
    if (g_users != 0 && name != g_name) {
        return "TLS: this process already asks for the name \"" + g_name +
               "\" in every certificate, so not for \"" + name +
               "\" too; give that venue a process of its own";
    }
    if (g_users == 0) {
        const std::string trouble = tell_openssl(name);
        if (!trouble.empty()) {
            return trouble;
        }
        g_name = name;
    }
    ++g_users;
    counted_ = true;
    return "";
}

TlsName::~TlsName() {
    if (counted_) {
        const std::lock_guard<std::mutex> lock{g_mutex};
        --g_users;
    }
}

}  // namespace fix
}  // namespace millrace
