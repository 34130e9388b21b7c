// The state hash of the newest snapshot that a pipeline made, held against a replay of all its
// records: outputs may be equal for long while states differ, and this sees it.
#pragma once

#include "persist/engine_recovery.h"
#include "persist/snapshot_file.h"

#include <filesystem>
#include <string>
#include <vector>

namespace millrace::test {

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
    if (!replay_files(journal_dir, s.at.seq, replayed, message)) {
        return "the log cannot be replayed: " + message;
    }
    const bool equal = replayed.seq() == s.at.seq && replayed.state_hash() == live.state_hash();
    return equal ? "" : "the state of " + snapshot_name(s.at.seq) + " differs from its replay";
}

}  // namespace millrace::test
