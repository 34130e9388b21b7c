#include "tools/millrace/credential_desk.h"

#include <cstdlib>
#include <utility>

#include "tools/millrace/progress.h"

namespace millrace {
CredentialBackupOptions credential_backup_options(const Config& config) {
    const CredentialConfig& c = config.credentials;
    CredentialBackupOptions o;
    if (c.postgres) {
        o.source.postgres = {c.postgres_url, c.postgres_password};
    } else {
        o.source.sqlite_path = c.path.empty() ? config.journal.dir + "/credentials.db" : c.path;
    }
    o.dir = c.backup_dir.empty() ? config.journal.dir + "/credential-backups" : c.backup_dir;
    o.keep = c.backups_keep;
    o.step = [](const std::string& step) { tell_on_terminal("credentials: " + step + " ..."); };
    return o;
}

std::string credential_key_path(const CredentialConfig& c) {
    if (!c.key_file.empty()) {
        return c.key_file;
    }
    const char* const folder = std::getenv("CREDENTIALS_DIRECTORY");
    return (folder == nullptr ? "/run/credentials" : std::string{folder}) + "/" + c.key_credential;
}

bool open_backups(const Config& config, CredentialDesk& desk, std::string& message) {
    if (!config.credentials.enabled) {
        message = "no \"credentials\" in " + config.file;
        return false;
    }
    auto key = CredentialKey::load(credential_key_path(config.credentials), message);
    if (!key) {
        const bool given = config.credentials.key_file.empty();
        const bool none = key.code() == Errc::NotFound;
        message += none && !given ? "; `millrace credential init` makes one" : "";
        if (given && std::getenv("CREDENTIALS_DIRECTORY") == nullptr) {
            message +=
                "; CREDENTIALS_DIRECTORY is not set: systemd sets it for a unit with "
                "LoadCredential=, and as root it is /run/credentials/UNIT";
        }
        return false;
    }
    desk.key = std::make_unique<CredentialKey>(std::move(key).value());
    desk.backups =
        std::make_unique<CredentialBackups>(credential_backup_options(config), *desk.key);
    return true;
}

bool open_desk(const Config& config, CredentialDesk& desk, std::string& message) {
    if (!open_backups(config, desk, message)) {
        return false;
    }
    const CredentialSource source = credential_backup_options(config).source;
    desk.store = make_credentials(source);
    desk.vault = std::make_unique<CredentialVault>(*desk.store, *desk.key);
    const Status opened = desk.store->open(CredentialOpen::Existing);
    if (opened) {
        return true;
    }
    message = desk.store->message();
    desk.no_store = opened.code() == Errc::NotFound;
    if (desk.no_store) {
        message += any_credential_backup(desk.backups->options().dir)
                       ? "; there are backups: `millrace credential restore` fills a new one"
                       : "; `millrace credential add` begins one";
    } else if (!source.sqlite_path.empty()) {
        message +=
            "; if it is damaged, move it away: `millrace credential restore` fills a new "
            "one from a backup";
    }
    return false;
}

}  // namespace millrace
