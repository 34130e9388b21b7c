// Every promise of a segment and of a journal directory, checked one by one. Read-only.
#pragma once

#include "shm/segment.h"

#include <string>
#include <vector>

namespace millrace::inspect {

enum class Finding : std::uint8_t {
    Holds,
    Broken,
    Note,  // worth knowing, breaks nothing
};

struct Check {
    std::string name;
    Finding finding = Finding::Holds;
    std::string detail;  // what was looked at, or what is wrong and where
};

class Checks {
public:
    void holds(std::string name, std::string detail = {}) {
        all.push_back({std::move(name), Finding::Holds, std::move(detail)});
    }
    void broken(std::string name, std::string detail) {
        all.push_back({std::move(name), Finding::Broken, std::move(detail)});
    }
    void note(std::string name, std::string detail) {
        all.push_back({std::move(name), Finding::Note, std::move(detail)});
    }
    /// `fault` empty: it holds.
    void add(const std::string& name, const std::string& detail, const std::string& fault) {
        fault.empty() ? holds(name, detail) : broken(name, fault);
    }
    [[nodiscard]] std::size_t count(Finding f) const;

    std::vector<Check> all;
};

/// Tables disjoint; rings: cursors, words, sequence of records; cells in order; sessions, stages,
/// histograms, ticks, names, error log. A live segment moves meanwhile: values that follow each
/// other are read follower first.
void verify_segment(const Segment& segment, Checks& checks);

/// Journal files (headers, CRC, chain, sequence, times), snapshots (hash, and their chain is the
/// journal's), effects log (hash, order, and its marks are the journal's), reservation, skip list.
/// @param segment whose durable records the files must hold; nullptr = not asked.
void verify_journal(const std::string& directory, const Segment* segment, Checks& checks);

}  // namespace millrace::inspect
