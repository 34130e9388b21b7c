// Where: the logs that a command is about, and what helps to read them: names, the configuration,
// the running pipeline's segment if there is one.
#pragma once

#include "core/engine.h"
#include "persist/journal_reader.h"
#include "shm/segment.h"
#include "tools/explain/book.h"
#include "tools/explain/standing.h"
#include "tools/millrace/locate.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace millrace::explain {

struct WhereOptions {
    Target target;      // --config, --segment
    std::string dir;    // --dir: the journal directory itself
    std::string store;  // --store: the SQLite file itself
};

struct Where {
    std::string dir;                         // journal directory
    std::string store;                       // the SQLite file; empty: not known
    std::shared_ptr<const Segment> segment;  // of the running pipeline, read-only; may be null
    Book book;
    Standing configured;  // by the present configuration
    Capacity capacity;
    Sequence through = kWholeLog;      // without a segment: the engine halts at the next
    std::vector<std::string> notices;  // what could not be read, for people
};

/// The segment that keeps this journal, read-only, if it is here, of this boot and sound.
[[nodiscard]] std::shared_ptr<const Segment> segment_of(const std::string& journal_dir);

/// Finds them: the directory as given, else of the configuration, else of the only segment here.
/// @return nothing: `message` says where was looked and how to say it.
[[nodiscard]] std::optional<Where> find_where(const WhereOptions& options, std::string& message);

}  // namespace millrace::explain
