#include "gateway/client/open_roles.h"

#include <unistd.h>

#include <map>
#include <mutex>
#include <utility>

namespace millrace {
namespace {

struct Registry {
    std::mutex mutex;
    std::map<std::string, int> held;  // key -> pid that took it
};
Registry& registry() {
    static Registry r;
    return r;
}

}  // namespace

OpenRole::~OpenRole() {
    if (key_.empty()) {
        return;
    }
    Registry& r = registry();
    const std::lock_guard guard{r.mutex};
    // In a forked child this is the parent's entry, or the child's own newer one: leave both.
    const auto it = r.held.find(key_);
    if (it != r.held.end() && it->second == pid_ && pid_ == ::getpid()) {
        r.held.erase(it);
    }
    lock_.release();
}

OpenRole::OpenRole(OpenRole&& other) noexcept
    : lock_{std::move(other.lock_)}, key_{std::exchange(other.key_, {})}, pid_{other.pid_} {}

OpenRole& OpenRole::operator=(OpenRole&& other) noexcept {
    std::swap(lock_, other.lock_);
    std::swap(key_, other.key_);
    std::swap(pid_, other.pid_);
    return *this;
}

Result<OpenRole> OpenRole::take(const std::string& journal_dir, const std::string& role,
                                std::string& holder) {
    Registry& r = registry();
    const std::lock_guard guard{r.mutex};
    const std::string key = journal_dir + '\n' + role;
    const int pid = ::getpid();
    const auto it = r.held.find(key);
    if (it != r.held.end() && it->second == pid) {
        holder = "this very process, pid " + std::to_string(pid);
        return {Errc::NotOwner, "role is held by this process"};
    }
    auto lock = RoleLock::try_acquire(journal_dir, role, holder);
    if (!lock) {
        return lock.error();
    }
    OpenRole open;
    open.lock_ = std::move(lock).value();
    open.key_ = key;
    open.pid_ = pid;
    r.held[key] = pid;
    return open;
}

}  // namespace millrace
