#include "tools/millrace/disabled_lock.h"

#include <signal.h>

#include <algorithm>
#include <utility>

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

}  // namespace

DisabledLockOptions disabled_lock_options(const Config& config) {
    DisabledLockOptions o;
    if (config.credentials.enabled) {
        o.command = {"/proc/self/exe", "account", "lock-disabled", "-c", config.file};
    }
    return o;
}

/// By its login, as a session knows it: ids are another file's matter.
std::vector<std::string> disabled_accounts(const Segment& segment, const Config& config) {
    std::vector<std::string> names;
    for (std::uint32_t i = 0; i < segment.sessions(); ++i) {
        const SessionEntry& cell = segment.session(AccountId{i});
        // Relaxed: a state that is looked at again; the login stays what it is.
        const std::uint64_t login = cell.login.load(std::memory_order_relaxed);
        const auto state =
            static_cast<AccountState>(cell.account_state.load(std::memory_order_relaxed));
        const auto account =
            std::find_if(config.accounts.begin(), config.accounts.end(),
                         [login](const AccountConfig& a) { return a.login == login; });
        const bool known = login != 0 && account != config.accounts.end();
        if (known && state == AccountState::Disabled) {
            names.push_back(account->name);
        }
    }
    return names;
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
    look(now_ns);
    if (!busy()) {
        return now_ns < next_ns_ ? Told{} : start(now_ns);
    }
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

void DisabledLock::look(std::int64_t now_ns) {
    std::map<std::string, Seen> now;
    for (const std::string& name : disabled_accounts(segment_, config_)) {
        const auto before = disabled_.find(name);
        now[name] = before == disabled_.end() ? Seen{now_ns, false} : before->second;
    }
    disabled_ = std::move(now);
}

DisabledLock::Told DisabledLock::start(std::int64_t now_ns) {
    asked_.clear();
    for (const auto& [name, seen] : disabled_) {
        if (!seen.locked && now_ns - seen.since_ns >= options_.grace.value) {
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
    std::vector<std::string> back;
    for (const std::string& name : asked_) {
        const auto seen = disabled_.find(name);
        (seen == disabled_.end() ? back : locked).push_back(name);
        if (seen != disabled_.end()) {
            seen->second.locked = true;
        }
    }
    if (!locked.empty()) {
        told.info = "credentials of " + joined(locked) + " are locked: disabled";
    }
    if (!back.empty()) {
        told.alert = "credentials: " + joined(back) +
                     " came back while they were being locked: see `millrace credential list`, "
                     "and unlock them if they are LOCKED";
    }
    return told;
}

void DisabledLock::kill_child() const {
    // With pg_dump and pg_restore, which are in its session. Ours, and not reaped yet.
    (void)::kill(-child_, SIGKILL);
}

}  // namespace millrace
