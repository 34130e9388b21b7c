// The verbs: options as the command line fills them, and what runs them. Each returns an Exit.
#pragma once

#include "tools/inspect/command.h"

namespace millrace::inspect {

struct ListOptions {
    Common common;
};
int run_list(const ListOptions& options);

struct StatOptions {
    Common common;
    bool all = false;
    std::string rate;  // duration; empty = one picture, no rates
};
int run_stat(const StatOptions& options);

/// Which records: all given ones must match.
struct FilterOptions {
    std::vector<std::string> accounts;  // id, login or name
    std::vector<std::string> signals;   // uuid or its beginning
    std::vector<std::string> orders;    // magic or intent number
    std::vector<std::string> types;     // word of type, kind, action or op
};

/// Records of a ring, of the journal files ("log") or of the effects log ("effects").
struct RecordsOptions {
    Common common;
    std::string name;
    std::string journal;      // directory; default: the segment's
    std::uint64_t from = 0;   // 0 = the oldest that is there
    std::uint64_t count = 0;  // 0 = no bound
    std::uint64_t last = 10;
    std::string timeout;  // follow: duration
    bool hex = false;
    bool slots = false;  // ring: state of every slot
    FilterOptions filter;
};
int run_ring(const RecordsOptions& options);
int run_dump(const RecordsOptions& options);
int run_tail(const RecordsOptions& options);
int run_follow(const RecordsOptions& options);

struct HistOptions {
    Common common;
    std::string hop;
};
int run_hist(const HistOptions& options);

struct ErrorsOptions {
    Common common;
    std::string stage;  // only this one's
};
int run_errors(const ErrorsOptions& options);

struct VerifyOptions {
    Common common;
    std::string journal;        // directory, if that is to be verified
    bool with_journal = false;  // the segment's own journal directory
};
int run_verify(const VerifyOptions& options);

struct DiffOptions {
    Common common;
    std::string other;
    std::string every;        // duration: the same segment now and then
    std::uint64_t count = 1;  // with --every: how many times, 0 = until interrupted
    bool all = false;         // ages and other clocks too
};
int run_diff(const DiffOptions& options);

struct RecoverOptions {
    Common common;
    std::string journal;
    bool dry_run = false;
};
int run_recover(const RecoverOptions& options);

struct PidOptions {
    Common common;
    std::string role;
};
int run_pid(const PidOptions& options);

struct WaitOptions {
    Common common;
    std::string timeout = "10s";
    std::string ring;
    std::string stage;
    std::string state = "running";
    std::string sink;
    // Bounds; kNone = not asked for.
    static constexpr std::uint64_t kNone = UINT64_MAX;
    std::uint64_t depth_below = kNone;
    std::uint64_t depth_above = kNone;
    std::uint64_t lag_below = kNone;
    std::uint64_t durable = kNone;
    std::uint64_t journal_seq = kNone;
    std::uint64_t in_doubt_below = kNone;
    std::uint64_t links_up = kNone;
};
int run_wait(const WaitOptions& options);

struct ExportOptions {
    Common common;
};
int run_export(const ExportOptions& options);

struct TopVerbOptions {
    Common common;
    std::uint32_t interval_ms = 200;
    std::uint32_t frames = 0;
};
int run_top_verb(const TopVerbOptions& options);

}  // namespace millrace::inspect
