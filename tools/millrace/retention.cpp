#include "tools/millrace/retention.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "persist/effects_log.h"
#include "persist/journal_format.h"
#include "persist/journal_reader.h"
#include "persist/second_directory.h"
#include "persist/snapshot_file.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

constexpr Sequence kNoBound{~std::uint64_t{0}};
/// Effects files kept although no cursor needs them any more, see Retention::prune().
constexpr std::size_t kEffectsMargin = 1;

struct LogFile {
    std::string path;
    std::uint64_t first_seq = 0;     // 0: prepared and not begun, or unreadable
    std::uint64_t previous_seq = 0;  // of effects: the last mark before it
    std::int64_t begun_ns = 0;       // wall clock; 0 = unknown
    std::int64_t ended_ns = 0;       // the same; 0 = when the next file was begun
    std::uint64_t bytes = 0;
    std::size_t disk = 0;  // 1: the second directory's, where that is another one
};

template <class Header>
bool read_header(const LogFile& file, std::uint64_t magic, Header& header) {
    std::ifstream in{file.path, std::ios::binary};
    in.read(reinterpret_cast<char*>(&header), sizeof header);
    return in && header.magic == magic;
}

void look_into(LogFile& file) {
    const bool effects = file.path.ends_with(".mre");
    if (EffectsHeader h; effects && read_header(file, kEffectsMagic, h)) {
        file.first_seq = h.first_seq;
        file.previous_seq = h.mark.seq.value;
    }
    if (JournalFileHeader h; !effects && read_header(file, kJournalMagic, h)) {
        file.first_seq = h.first_seq;
        file.begun_ns = h.created_ns;
    }
    if (struct stat s{}; ::stat(file.path.c_str(), &s) == 0) {
        file.bytes = static_cast<std::uint64_t>(s.st_size);
        // Journal files have their size from the start, so their last write says less.
        file.ended_ns = effects ? s.st_mtim.tv_sec * 1'000'000'000 : 0;
    }
}

std::string name_in(const std::string& path) {
    return fs::path{path}.filename().string();
}

/// Adds those of one directory. @return false with `trouble`.
bool add_files(const std::string& dir, std::size_t disk, std::string_view suffix,
               std::vector<LogFile>& files, std::string& trouble) {
    std::error_code error;
    for (fs::directory_iterator it{dir, error}, end; !error && it != end; it.increment(error)) {
        LogFile file;
        file.disk = disk;
        file.path = it->path().string();
        const std::string name = name_in(file.path);
        // Names of ours only: what an operator copied here is his to remove.
        const bool ours =
            suffix == ".mrj" ? JournalFileName::parse(name).ok() : name.starts_with("effects-");
        if (ours && name.ends_with(suffix)) {
            look_into(file);
            files.push_back(std::move(file));
        }
    }
    trouble = error ? "cannot list " + dir + ": " + error.message() : trouble;
    return !error;
}

/// Files of one log, oldest first: both kinds of name sort by age. Empty with `trouble`: half a
/// list would put the wrong file behind another.
/// @param second_disk of files in the second directory
std::vector<LogFile> files_of(const std::string& dir, std::string_view suffix,
                              std::size_t second_disk, std::string& trouble) {
    std::vector<LogFile> files;
    if (!add_files(dir, 0, suffix, files, trouble)) {
        return {};
    }
    // Effects lie in the first directory alone.
    const auto second = suffix == ".mrj" ? second_directory_of(dir) : std::string{};
    const bool two = second && !second.value().empty();
    std::string why = second ? "" : dir + ": " + second.error().what;
    if (!second || (two && (!check_second_directory(dir, second.value(), why) ||
                            !add_files(second.value(), second_disk, suffix, files, why)))) {
        trouble = why + "; no journal file is removed";
        return {};
    }
    std::sort(files.begin(), files.end(),
              [](const LogFile& a, const LogFile& b) { return name_in(a.path) < name_in(b.path); });
    return files;
}

std::uint64_t total_bytes(const std::vector<LogFile>& files) {
    std::uint64_t total = 0;
    for (const LogFile& f : files) {
        total += f.bytes;
    }
    return total;
}

/// Bytes that are missing to the free floor, by disk.
using Missing = std::array<std::uint64_t, 2>;

Missing missing_of(const RetentionLimits& limits) {
    const auto below = [&limits](std::uint64_t free_bytes) {
        return limits.free_floor - std::min(limits.free_floor, free_bytes);
    };
    return {below(limits.free_bytes), below(limits.second_free_bytes.value_or(limits.free_floor))};
}

/// Why files go, and how far they may.
struct Bounds {
    std::uint64_t bytes_max = 0;
    std::int64_t before_ns = 0;  // files that ended earlier go; 0 = none by age
    Missing to_free{};           // falls as files go
    Sequence needed_from;        // nothing of this record or a later one goes
    std::size_t margin = 0;      // nor this many files before that
};

Bounds bounds_of(const RetentionLimits& limits) {
    Bounds bounds{limits.bytes_max, 0, missing_of(limits), {}, 0};
    if (limits.age_max.value > 0) {
        bounds.before_ns = limits.wall_now.value - limits.age_max.value;
    }
    return bounds;
}

/// A file ends where the next one begins, in records and in time; so the last one never goes.
bool may_go(const std::vector<LogFile>& files, std::size_t i, const Bounds& bounds) {
    if (i + 1 + bounds.margin >= files.size()) {
        return false;
    }
    const LogFile& kept = files[i + 1 + bounds.margin];
    return kept.first_seq != 0 && kept.first_seq <= bounds.needed_from.value;
}

/// How many of the oldest files go for the free floors: up to those that lie on the disk that lacks
/// space. What is older goes with them, a log has no holes; what gives it no byte stays.
std::size_t count_for_space(const std::vector<LogFile>& files, const Bounds& bounds) {
    Missing missing = bounds.to_free;
    std::size_t count = 0;
    for (std::size_t i = 0; may_go(files, i, bounds); ++i) {
        std::uint64_t& bytes = missing[files[i].disk];
        count = bytes > 0 ? i + 1 : count;
        bytes -= std::min(bytes, files[i].bytes);
    }
    return count;
}

/// Whether files[i], of `total` bytes from it on, may and should go.
/// @param for_space as count_for_space() says
bool is_due(const std::vector<LogFile>& files, std::size_t i, std::uint64_t total,
            std::size_t for_space, const Bounds& bounds) {
    if (!may_go(files, i, bounds)) {
        return false;
    }
    const std::int64_t ended = files[i].ended_ns != 0 ? files[i].ended_ns : files[i + 1].begun_ns;
    const bool old = ended != 0 && ended < bounds.before_ns;
    return total > bounds.bytes_max || old || i < for_space;
}

/// Takes files from the front by `take(index)` (false: stop). @return files taken.
template <class Take>
std::uint32_t take_oldest(std::vector<LogFile>& files, Bounds& bounds, Take&& take) {
    const std::size_t for_space = count_for_space(files, bounds);
    std::uint64_t total = total_bytes(files);
    std::size_t gone = 0;
    for (; is_due(files, gone, total, for_space, bounds) && take(gone); ++gone) {
        std::uint64_t& missing = bounds.to_free[files[gone].disk];
        missing -= std::min(missing, files[gone].bytes);
        total -= files[gone].bytes;
    }
    files.erase(files.begin(), files.begin() + static_cast<std::ptrdiff_t>(gone));
    return static_cast<std::uint32_t>(gone);
}

bool remove_file(const std::string& path, std::string& trouble) {
    std::error_code error;
    fs::remove(path, error);
    trouble = error ? "cannot remove " + path + ": " + error.message() : trouble;
    return !error;
}

/// What keeps effects: the slowest sink, and the backups. One that lacks effects which are gone
/// already is detached, and keeps nothing any more; one that has not said how far it is (0) does.
Sequence effects_needed(const RetentionLimits& limits, std::uint64_t begins_after, bool pressed) {
    Sequence needed = kNoBound;
    const auto keep = [&](Sequence at) {
        if (at.value == 0 || at.value >= begins_after) {
            needed = std::min(needed, at);
        }
    };
    for (const SinkAt& sink : limits.sinks) {
        keep(sink.stored);
    }
    if (pressed && !limits.backups.empty()) {
        keep(limits.backups.back());
    } else {
        std::for_each(limits.backups.begin(), limits.backups.end(), keep);
    }
    return needed;
}

void prune_effects(const std::string& dir, const RetentionLimits& limits, Retained& done) {
    auto files = files_of(dir, ".mre", 0, done.trouble);
    if (files.empty()) {
        return;
    }
    const auto take = [&](std::size_t i) { return remove_file(files[i].path, done.trouble); };
    Bounds bounds = bounds_of(limits);
    bounds.margin = kEffectsMargin;
    bounds.needed_from = effects_needed(limits, files.front().previous_seq, false);
    done.effects_files = take_oldest(files, bounds, take);
    bounds.needed_from = effects_needed(limits, files.front().previous_seq, true);
    bounds.before_ns = 0;
    done.effects_files += take_oldest(files, bounds, take);
    Bounds last{2 * limits.bytes_max, 0, {}, kNoBound, 0};
    const std::uint32_t unstored = take_oldest(files, last, take);
    done.effects_files += unstored;
    for (const SinkAt& sink : limits.sinks) {
        const bool silent = sink.stored.value == 0;
        if (silent ? unstored > 0 : sink.stored.value < files.front().previous_seq) {
            done.detached.emplace_back(sink.name);
        }
    }
}

}  // namespace

/// The newest snapshot that can be read back whole; 0 if there is none.
Sequence Retention::verified(const std::vector<Sequence>& snapshots, std::string& trouble) {
    // Reading one costs too much to be done again for the same files.
    if (looked_at_ == snapshots.back()) {
        return verified_;
    }
    std::vector<std::string> bad;
    const auto found = load_snapshot(dir_, kWholeLog, bad);
    for (const std::string& why : bad) {
        trouble = why;
    }
    looked_at_ = snapshots.back();
    verified_ = found.ok() ? found.value().at.seq : Sequence{};
    if (verified_.value == 0) {
        trouble = "no snapshot in " + dir_ + " can be read back; no journal file is removed";
    }
    return verified_;
}

void Retention::prune_journal(const RetentionLimits& limits, const std::vector<Sequence>& snapshots,
                              Retained& done) {
    auto files = files_of(dir_, ".mrj", limits.second_free_bytes ? 1 : 0, done.trouble);
    const Missing missing = missing_of(limits);
    const auto take = [&](std::size_t i) {
        const auto here = JournalFileName::parse(name_in(files[i].path));
        const auto next = JournalFileName::parse(name_in(files[i + 1].path));
        const bool followed = here.value().epoch == next.value().epoch;
        const std::string lies_in = fs::path{files[i].path}.parent_path().string();
        // Below the free floor a spare would give no space back.
        const SparePolicy spares = missing[files[i].disk] > 0 ? SparePolicy{} : limits.spares;
        const auto retired = retire_file(lies_in, here.value(), followed, spares);
        if (!retired) {
            done.trouble =
                "cannot remove " + files[i].path + ": " + std::strerror(retired.error().sys_errno);
            return false;
        }
        done.reusable += retired.value() == Retired::Pooled ? 1U : 0U;
        return true;
    };
    Bounds bounds = bounds_of(limits);
    bounds.needed_from = Sequence{snapshots.back().value + 1};
    if (!is_due(files, 0, total_bytes(files), count_for_space(files, bounds), bounds)) {
        return;
    }
    const Sequence whole = verified(snapshots, done.trouble);
    bounds.needed_from = Sequence{std::min(whole, snapshots.front()).value + 1};
    done.journal_files = take_oldest(files, bounds, take);
    bounds.needed_from = Sequence{whole.value + 1};
    bounds.before_ns = 0;
    done.journal_files += take_oldest(files, bounds, take);
}

Retained Retention::prune(const RetentionLimits& limits) {
    Retained done;
    const auto snapshots = list_snapshots(dir_);
    if (!snapshots || snapshots.value().empty()) {
        done.trouble = snapshots ? "" : "cannot list the snapshots in " + dir_;
        return done;  // without a snapshot every record is needed
    }
    prune_journal(limits, snapshots.value(), done);
    prune_effects(dir_, limits, done);
    return done;
}

Space file_system_space(const std::string& path) noexcept {
    struct statvfs s{};
    if (::statvfs(path.c_str(), &s) != 0) {
        return {};
    }
    // As df counts: what is reserved for root is neither used nor free.
    return {(s.f_blocks - s.f_bfree + s.f_bavail) * s.f_frsize, s.f_bavail * s.f_frsize};
}

}  // namespace millrace
