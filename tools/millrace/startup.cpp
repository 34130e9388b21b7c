#include "tools/millrace/startup.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "shm/role.h"
#include "tools/millrace/backlog.h"
#include "tools/millrace/log.h"

namespace millrace {
namespace {

constexpr const char* kStageRoles[] = {"engine", "replica", "journal", "broker",    "ingress",
                                       "sqlite", "redis",   "rtss",    "clickhouse"};

constexpr int kIdsTriesMax = 500;
constexpr int kIdsTryMs = 10;

Error fail(std::string& message, std::string text, Errc code, int sys_errno = 0) {
    message = std::move(text);
    if (sys_errno != 0) {
        message += std::string{": "} + std::strerror(sys_errno);
    }
    return {code, sys_errno, "startup"};
}

/// Two files being written and one being prepared.
std::uint64_t bytes_needed(const JournalConfig& journal) {
    return 3 * (std::uint64_t{journal.file_mib} << 20U);
}

SegmentPlan plan_of(const Config& c, const IdBook& ids) {
    SegmentPlan plan;
    plan.path = c.segment_path();
    plan.journal_dir = c.journal.dir;
    plan.memory = c.memory.plan;
    plan.sessions = c.accounts_max;
    plan.session_slots = c.rings.session;
    plan.journal_slots = c.rings.journal;
    plan.orders_slots = c.rings.orders;
    plan.reports_slots = c.rings.reports;
    plan.signals_slots = c.rings.signals;
    plan.results_slots = c.rings.results;
    plan.admin_slots = c.rings.admin;
    for (const SourceConfig& s : c.sources) {
        if (s.own_rings()) {
            plan.strategies.push_back({s.name, SourceId{ids.find(NameKind::Source, s.name)}});
        }
    }
    return plan;
}

Result<Segment> create(const Config& c, const IdBook& ids, std::string& message) {
    const std::string living = living_roles(c.journal.dir);
    if (!living.empty()) {
        return fail(message,
                    "there is no usable segment at " + c.segment_path() +
                        " but stages of this journal are alive: " + living +
                        "; `millrace down -c " + c.file + "` ends them, then start again",
                    Errc::NotOwner);
    }
    auto made = Segment::create(plan_of(c, ids), message);
    if (made && !message.empty()) {
        log_warn("not all that \"memory\" asks for could be had: " + message);
        message.clear();
    }
    return made;
}

}  // namespace

Status prepare_journal_dir(const JournalConfig& journal, bool goes_on, std::string& message,
                           const char* key) {
    std::error_code error;
    const std::filesystem::path dir{journal.dir};
    const bool made = std::filesystem::create_directories(dir, error);
    if (error) {
        return fail(message, "cannot make journal directory " + journal.dir, Errc::IoError,
                    error.value());
    }
    if (made) {
        std::filesystem::permissions(dir, std::filesystem::perms::owner_all, error);
    }
    const std::string probe = journal.dir + "/.probe." + std::to_string(::getpid());
    const int fd = ::open(probe.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const int rc = fd < 0 ? errno : ::posix_fallocate(fd, 0, 4096);
    if (fd >= 0) {
        ::close(fd);
        ::unlink(probe.c_str());
    }
    struct statvfs fs{};
    const bool known = ::statvfs(journal.dir.c_str(), &fs) == 0;
    const std::uint64_t free_bytes = known ? std::uint64_t{fs.f_bavail} * fs.f_frsize : 0;
    if (rc == EROFS) {
        return fail(message,
                    "journal directory " + journal.dir +
                        " is on a read-only file system; mount it writable or choose "
                        "another \"" +
                        key + "\"",
                    Errc::IoError);
    }
    if (rc == ENOSPC || (known && free_bytes < bytes_needed(journal))) {
        const std::string text = "journal directory " + journal.dir + " has " +
                                 std::to_string(free_bytes >> 20U) + " MiB free, " +
                                 std::to_string(bytes_needed(journal) >> 20U) +
                                 " are needed; free some or lower \"journal.file_mib\"";
        if (!goes_on) {
            return fail(message, text, Errc::NoSpace);
        }
        // What lives has its files and needs its supervisor; the journal stage says what it lacks.
        log_warn(text);
        return ok_status();
    }
    if (rc != 0) {
        return fail(message,
                    "journal directory " + journal.dir + " cannot be written by uid " +
                        std::to_string(::geteuid()),
                    Errc::IoError, rc);
    }
    return ok_status();
}

namespace {

/// The book of ids from its reading to its writing: two commands at once would give two names one
/// id.
Result<RoleLock> lock_ids(const std::string& journal_dir, std::string& message) {
    std::string holder;
    auto lock = RoleLock::try_acquire(journal_dir, "ids", holder);
    for (int i = 0; i < kIdsTriesMax && !lock && lock.code() == Errc::NotOwner; ++i) {
        ::poll(nullptr, 0, kIdsTryMs);
        lock = RoleLock::try_acquire(journal_dir, "ids", holder);
    }
    if (!lock) {
        return fail(message,
                    "ids.json of " + journal_dir + " cannot be locked (" + lock.error().what +
                        (holder.empty() ? "" : ", " + holder) + "); try again",
                    lock.code(), lock.error().sys_errno);
    }
    return lock;
}

}  // namespace

Result<ConfigRecords> prepare_records(const Config& config, IdBook& ids, std::string& message) {
    const auto lock = lock_ids(config.journal.dir, message);
    if (!lock) {
        return lock.error();
    }
    auto loaded = IdBook::load(config.journal.dir, message);
    if (!loaded) {
        return loaded.error();
    }
    ids = std::move(loaded).value();
    const IdBook before = ids;
    std::vector<Mistake> mistakes;
    ConfigRecords made = make_config_records(config, ids, mistakes);
    if (!mistakes.empty()) {
        return fail(message, to_string(mistakes.front()), Errc::BadInput);
    }
    if (ids == before) {
        return made;
    }
    if (auto saved = ids.save(config.journal.dir, message); !saved) {
        return saved.error();
    }
    return made;
}

Status retire_name(const std::string& journal_dir, NameKind kind, const std::string& name,
                   std::string& message) {
    const auto lock = lock_ids(journal_dir, message);
    if (!lock) {
        return lock.error();
    }
    auto ids = IdBook::load(journal_dir, message);
    if (!ids) {
        return ids.error();
    }
    ids.value().retire(kind, name);
    return ids.value().save(journal_dir, message);
}

Result<Segment> prepare_segment(const Config& c, const IdBook& ids, bool& created,
                                std::string& message) {
    const std::string path = c.segment_path();
    created = false;
    auto found = Segment::attach(path, Segment::Mode::ReadWrite, message);
    if (found && found.value().header().journal_dir != c.journal.dir) {
        return fail(message,
                    path + " belongs to the journal " + found.value().header().journal_dir +
                        ", not to " + c.journal.dir +
                        "; choose another \"name\" or stop that pipeline",
                    Errc::BadInput);
    }
    if (found && found.value().same_boot()) {
        return found;
    }
    created = true;
    if (!found && found.code() == Errc::NotFound) {
        return create(c, ids, message);
    }
    if (!found && (found.code() == Errc::BadAuth || found.code() == Errc::IoError)) {
        return found;
    }
    const std::string why = found ? "is of an earlier boot" : "is not usable (" + message + ")";
    const std::string living = living_roles(c.journal.dir);
    if (!living.empty()) {
        return fail(message,
                    path + " " + why + ", but stages are alive: " + living +
                        "; `millrace down -c " + c.file + "` ends them",
                    Errc::NotOwner);
    }
    if (!found && found.code() == Errc::BadVersion) {
        // Its rings may hold records that were acknowledged and are not on disk yet.
        return fail(message,
                    path +
                        " was made by another build and not stopped clean: start that "
                        "build and stop it with `millrace down`. To give up what only the "
                        "segment holds: rm " +
                        path,
                    Errc::BadVersion);
    }
    if (found) {
        log_warn(path + " " + why + ": making a new one; state comes from the journal");
        if (::unlink(path.c_str()) != 0) {
            return fail(message, "cannot remove " + path, Errc::IoError, errno);
        }
        return create(c, ids, message);
    }
    const std::string aside = path + ".unusable";
    log_warn(path + " " + why + " and nobody uses it: put aside as " + aside +
             "; making a new one, state comes from the journal");
    if (::rename(path.c_str(), aside.c_str()) != 0) {
        return fail(message, "cannot put aside " + path, Errc::IoError, errno);
    }
    return create(c, ids, message);
}

std::string living_roles(const std::string& journal_dir) {
    std::string text;
    for (const char* role : kStageRoles) {
        if (const int pid = RoleLock::holder_pid(journal_dir, role); pid != 0) {
            text += (text.empty() ? "" : ", ") + std::string{role} + " (" + process_text(pid) + ")";
        }
    }
    return text;
}

std::string changed_under_terminals(const Config& c, const IdBook& ids, const Segment& segment,
                                    const LogCheck& log) {
    std::string text;
    const auto differs = [&](const std::string& what, std::uint64_t was, std::uint64_t is) {
        text += (text.empty() ? "" : ", ") + what + " " + std::to_string(was) + ", not " +
                std::to_string(is);
    };
    std::vector<Mistake> elsewhere;  // the tag stands in the text all the same
    const Config kept = read_config(c.file, elsewhere, nullptr, checked_config_path(c.journal.dir));
    if (!kept.text.empty() && kept.risk.magic_tag != c.risk.magic_tag) {
        differs("\"risk.magic_tag\"", kept.risk.magic_tag, c.risk.magic_tag);
    }
    for (const AccountConfig& account : c.accounts) {
        const std::uint32_t id = ids.find(NameKind::Account, account.name);
        if (id >= segment.sessions()) {
            continue;
        }
        // Acquire: pairs with the engine stage's release when it defines the account.
        const std::uint64_t login =
            segment.session(AccountId{id}).login.load(std::memory_order_acquire);
        if (login != 0 && login != account.login) {
            differs("login of account \"" + account.name + "\"", login, account.login);
        }
    }
    if (text.empty()) {
        return text;
    }
    const bool nobody_lives = living_roles(c.journal.dir).empty();
    // The log was asked for what lives under the old ones. It knows of all only if it was read to
    // its end and the ring holds nothing beyond that: a record of the last milliseconds may be in
    // no file yet, its order at a broker (gate `process`). The cells trail by 20 ms. Relaxed: with
    // nobody alive they stand still.
    const CoreCells& core = segment.core();
    const bool known = log.whole && last_journalled(segment) <= log.end;
    const bool flat = known && core.live_orders.load(std::memory_order_relaxed) == 0 &&
                      core.open_positions.load(std::memory_order_relaxed) == 0;
    if (nobody_lives && flat) {
        return {};  // no terminal is in session: each is told when it comes back
    }
    return "the pipeline at " + c.segment_path() + " has " + text +
           ": terminals in session go by what they were told, and the kill switch would miss what "
           "goes by another. Put it back" +
           (nobody_lives ? ", start, and change it when nothing is open"
                         : "; or `millrace down -c " + c.file + "`, then start again");
}

std::string needs_new_segment(const Config& c, const Segment& segment) {
    std::string text;
    const auto differs = [&](const char* what) {
        text += (text.empty() ? "" : ", ") + std::string{what};
    };
    if (segment.sessions() != c.accounts_max) {
        differs("accounts_max");
    }
    const std::pair<const char*, std::uint32_t> rings[] = {{"journal", c.rings.journal},
                                                           {"orders", c.rings.orders},
                                                           {"reports", c.rings.reports},
                                                           {"admin", c.rings.admin}};
    for (const auto& [name, slots] : rings) {
        if (segment.ring_control(segment.find_ring(name)).capacity != std::bit_ceil(slots)) {
            differs(name);
        }
    }
    for (const SourceConfig& s : c.sources) {
        if (s.own_rings() && segment.find_ring("signals." + s.name) == kNoId) {
            differs(("source " + s.name).c_str());
        }
    }
    return text;
}

}  // namespace millrace
