#include "tools/millrace/disabled_lock.h"

#include <signal.h>

#include <algorithm>
#include <utility>

#include "gateway/bridge_wire.h"
#include "tools/millrace/process.h"

namespace millrace {
namespace {

std::string joined(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) {
        text += (text.empty() ? "" : ", ") + name;
    }
    return text;
}

void add_line(std::string& text, const std::string& line) {
    text += (text.empty() ? "" : "; ") + line;
}

/// Names of accounts by their login, as a session knows them: ids are another file's matter.
class NamesByLogin {
public:
    explicit NamesByLogin(const Config& config) : config_{config} {}

    /// @return empty: nobody's.
    std::string of(std::uint64_t login) {
        std::string name = find(config_.accounts, login);
        if (name.empty() && !read_) {       // added since: rare, so the folder is read for it alone
            std::vector<Mistake> mistakes;  // whatever can be read helps
            added_ = read_added_accounts(config_.journal.dir, mistakes);
            read_ = true;
        }
        return name.empty() ? find(added_, login) : name;
    }

private:
    static std::string find(const std::vector<AccountConfig>& accounts, std::uint64_t login) {
        const auto account =
            std::find_if(accounts.begin(), accounts.end(),
                         [login](const AccountConfig& a) { return a.login == login; });
        return account == accounts.end() ? "" : account->name;
    }

    const Config& config_;
    std::vector<AccountConfig> added_;
    bool read_ = false;
};

}  // namespace

DisabledLockOptions disabled_lock_options(const Config& config) {
    DisabledLockOptions o;
    if (config.credentials.enabled) {
        o.command = {"/proc/self/exe", "account", "lock-disabled", "-c", config.file};
        o.broker_grace = seconds(config.credentials.lock_after_s);
    }
    return o;
}

std::vector<DisabledAccount> disabled_accounts(const Segment& segment, const Config& config) {
    std::vector<DisabledAccount> found;
    NamesByLogin names{config};
    for (std::uint32_t i = 0; i < segment.sessions(); ++i) {
        const SessionEntry& cell = segment.session(AccountId{i});
        // Relaxed: states that are looked at again; the login stays what it is.
        const std::uint64_t login = cell.login.load(std::memory_order_relaxed);
        const auto state =
            static_cast<AccountState>(cell.account_state.load(std::memory_order_relaxed));
        const bool forbidden =
            (cell.permissions.load(std::memory_order_relaxed) & bridge::kInfoBrokerForbids) != 0;
        const bool disabled = state == AccountState::Disabled;
        if (login == 0 || state == AccountState::Removed || !(disabled || forbidden)) {
            continue;
        }
        if (const std::string name = names.of(login); !name.empty()) {
            found.push_back({name, !disabled});
        }
    }
    return found;
}

DisabledLock::DisabledLock(const Segment& segment, const Config& config,
                           DisabledLockOptions options)
    : segment_{segment}, config_{config}, options_{std::move(options)} {}

DisabledLock::~DisabledLock() {
    if (busy()) {
        kill_child();
        int status = 0;
        (void)options_.reap(child_, &status, WNOHANG);  // what is left is for init
    }
}

DisabledLock::Told DisabledLock::turn(std::int64_t now_ns) {
    if (options_.command.empty()) {
        return {};
    }
    const std::string back = look(now_ns);
    Told told;
    if (busy()) {
        told = look_after_child(now_ns);
    } else if (now_ns >= next_ns_) {
        told = start(now_ns);
    }
    if (!back.empty()) {
        add_line(told.alert, back);
    }
    return told;
}

DisabledLock::Told DisabledLock::look_after_child(std::int64_t now_ns) {
    int status = 0;
    if (options_.reap(child_, &status, WNOHANG) == child_) {
        child_ = -1;
        return std::exchange(killed_, false)
                   ? Told{}
                   : ended(now_ns, status == 0 ? "" : "ended with " + describe_wait_status(status));
    }
    const bool tell = killed_ ? now_ns >= next_ns_ : now_ns - started_ns_ >= options_.limit.value;
    if (!tell) {
        return {};
    }
    kill_child();
    killed_ = true;
    return ended(now_ns, "did not come to an end and was killed");
}

std::string DisabledLock::look(std::int64_t now_ns) {
    std::map<std::string, Seen> now;
    for (const auto& [name, by_broker] : disabled_accounts(segment_, config_)) {
        const auto before = disabled_.find(name);
        const bool known = before != disabled_.end();
        const bool same = known && before->second.by_broker == by_broker;
        now[name] = Seen{same ? before->second.since_ns : now_ns, by_broker,
                         known && before->second.locked};
    }
    std::vector<std::string> back;
    for (const auto& [name, seen] : disabled_) {
        // Whom an operator disabled comes back by a command, which unlocks.
        if (seen.by_broker && seen.locked && !now.contains(name)) {
            back.push_back(name);
        }
    }
    disabled_ = std::move(now);
    return back.empty() ? ""
                        : "credentials: the broker lets " + joined(back) +
                              " trade again, and they are LOCKED still: `millrace account resume "
                              "NAME -c FILE` unlocks them";
}

bool DisabledLock::is_due(const Seen& seen, std::int64_t now_ns) const noexcept {
    const Nanos grace = seen.by_broker ? options_.broker_grace : options_.grace;
    const bool wanted = !seen.by_broker || grace.value != 0;
    return wanted && !seen.locked && now_ns - seen.since_ns >= grace.value;
}

DisabledLock::Told DisabledLock::start(std::int64_t now_ns) {
    asked_.clear();
    for (const auto& [name, seen] : disabled_) {
        if (is_due(seen, now_ns)) {
            asked_.push_back(name);
        }
    }
    if (asked_.empty()) {
        return {};
    }
    std::vector<std::string> command = options_.command;
    command.insert(command.end(), asked_.begin(), asked_.end());
    std::string message;
    const auto child = spawn(command, message);
    if (!child) {
        return ended(now_ns, message);
    }
    child_ = child.value().pid;
    started_ns_ = now_ns;
    return {};
}

DisabledLock::Told DisabledLock::ended(std::int64_t now_ns, const std::string& failure) {
    Told told;
    if (!failure.empty()) {
        next_ns_ = now_ns + options_.retry.value;
        told.alert = "credentials: " + joined(asked_) +
                     " disabled, and not locked: `millrace account lock-disabled` " + failure;
        return told;
    }
    std::vector<std::string> locked;
    std::vector<std::string> forbidden;
    std::vector<std::string> back;
    for (const std::string& name : asked_) {
        const auto seen = disabled_.find(name);
        if (seen == disabled_.end()) {
            back.push_back(name);
            continue;
        }
        seen->second.locked = true;
        (seen->second.by_broker ? forbidden : locked).push_back(name);
    }
    if (!locked.empty()) {
        told.info = "credentials of " + joined(locked) + " are locked: disabled";
    }
    if (!forbidden.empty()) {
        add_line(told.alert, "credentials of " + joined(forbidden) +
                                 " are LOCKED: the broker lets the account not trade");
    }
    if (!back.empty()) {
        add_line(told.alert, "credentials: " + joined(back) +
                                 " came back while they were being locked: see `millrace "
                                 "credential list`, and unlock them if they are LOCKED");
    }
    return told;
}

void DisabledLock::kill_child() const {
    // With pg_dump and pg_restore, which are in its session. Ours, and not reaped yet.
    (void)::kill(-child_, SIGKILL);
}

}  // namespace millrace
