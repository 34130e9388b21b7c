// The state hash of the newest snapshot that a pipeline made, held against a replay of all its
// records: outputs may be equal for long while states differ, and this sees it.
#pragma once

#include "persist/engine_recovery.h"
#include "persist/snapshot_file.h"

#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::test {

/// What the comparisons say of a log that begins later than the state that is to be replayed: its
/// beginning was removed by retention, or it continues what a store has told.
inline constexpr const char* kBeginsLater = "the log begins later: ";

/// Why the log cannot be replayed.
inline std::string why_not_replayed(const Status& status, const std::string& message) {
    const bool begins_later = status.code() == Errc::NotFound &&
                              std::string_view{status.error().what} == "log begins later";
    return (begins_later ? kBeginsLater : "the log cannot be replayed: ") + message;
}

/// How the two differ, or why they cannot be compared; empty if they are equal.
inline std::string state_differs_from_replay(const std::string& journal_dir) {
    std::vector<std::string> bad;
    auto newest = load_snapshot(journal_dir, Sequence{UINT64_MAX}, bad);
    if (!newest || !bad.empty()) {
        return bad.empty() ? "there is no snapshot in " + journal_dir : bad.front();
    }
    const Snapshot& s = newest.value();
    const Capacity capacity = image_capacity(s.image.data(), s.image.size());
    Engine live{capacity};
    if (!live.load(s.image.data(), s.image.size())) {
        return snapshot_name(s.at.seq) + " cannot be loaded";
    }
    Engine replayed{capacity};
    std::string message;
    if (const Status done = replay_files(journal_dir, s.at.seq, replayed, message); !done) {
        return why_not_replayed(done, message);
    }
    const bool equal = replayed.seq() == s.at.seq && replayed.state_hash() == live.state_hash();
    return equal ? "" : "the state of " + snapshot_name(s.at.seq) + " differs from its replay";
}

/// The same for the live engine's own state, as it wrote it into its log at a clean stop
/// (tools/millrace/stages.cpp). @param log of `millrace up` and its stages.
inline std::string live_state_differs_from_replay(const std::string& journal_dir,
                                                  const std::string& log) {
    static const std::string kSaid = "the engine's state after record ";
    const std::size_t at = log.rfind(kSaid);
    if (at == std::string::npos) {
        return "the live engine has not said what its state was";
    }
    unsigned long long seq = 0;
    unsigned long long hash = 0;
    if (std::sscanf(log.c_str() + at + kSaid.size(), "%llu is %llx", &seq, &hash) != 2) {
        return "cannot be read: " + log.substr(at, 80);
    }
    std::vector<std::string> bad;
    auto newest = load_snapshot(journal_dir, Sequence{UINT64_MAX}, bad);
    if (!newest) {
        return "there is no snapshot in " + journal_dir;  // which tells the tables' sizes
    }
    Engine replayed{image_capacity(newest.value().image.data(), newest.value().image.size())};
    std::string message;
    if (const Status done = replay_files(journal_dir, Sequence{seq}, replayed, message); !done) {
        return why_not_replayed(done, message);
    }
    const bool equal = replayed.seq().value == seq && replayed.state_hash() == hash;
    return equal ? ""
                 : "the live engine's state after record " + std::to_string(seq) +
                       " differs from its replay";
}

}  // namespace millrace::test
