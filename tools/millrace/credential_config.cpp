#include "tools/millrace/credential_config.h"

#include "tools/millrace/redis_config.h"

namespace millrace {
namespace {

void read_path(ObjectReader& o, const char* key, const std::string& folder, std::string& out) {
    o.text(key, out, {1, 4096});
    if (!out.empty() && out.front() != '/') {
        out = folder + "/" + out;
    }
}

}  // namespace

void read_credentials(ObjectReader& o, const std::string& folder, bool there, CredentialConfig& c) {
    c.enabled = there;
    o.choice("store", c.postgres, {{"sqlite", false}, {"postgres", true}});
    read_path(o, "path", folder, c.path);
    read_path(o, "key_file", folder, c.key_file);
    o.text("key_credential", c.key_credential, {1, 128});
    o.text("postgres_url", c.postgres_url, {1, 1024});
    read_password(o, "postgres_password_file", folder, c.postgres_password);
    read_path(o, "backup_dir", folder, c.backup_dir);
    o.integer("backups_keep", c.backups_keep, {1, 10'000});
    o.integer("lock_after_s", c.lock_after_s, {0, 86'400});
    if (!there) {
        return;
    }
    if (c.key_file.empty() == c.key_credential.empty()) {
        o.complain("", "needs exactly one of \"key_file\" and \"key_credential\"");
    }
    if (c.key_credential.find('/') != std::string::npos) {
        o.complain("key_credential", "is the name of a systemd credential, not a path");
    }
    const bool url =
        c.postgres_url.starts_with("postgresql://") || c.postgres_url.starts_with("postgres://");
    if (c.postgres != !c.postgres_url.empty() || (c.postgres && !url)) {
        o.complain("postgres_url", "goes with \"store\": \"postgres\" and begins postgresql://");
    }
    const std::size_t at = c.postgres_url.find('@');
    const std::size_t colon = c.postgres_url.find(':', c.postgres_url.find("//") + 2);
    if (at != std::string::npos && colon < at) {
        o.complain("postgres_url", "has a password in it; put that into postgres_password_file");
    }
}

}  // namespace millrace
