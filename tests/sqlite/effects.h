// A known history of effects, an effects log in memory, and a way to see all that a file holds.
#pragma once

#include "persist/sqlite_sink.h"
#include "persist/stored_state.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>

#include <string>
#include <vector>

namespace millrace::sqlite_test {

/// All effects of journal record `seq`: a signal with two accounts walks through its life in
/// twelve records; every fifth record has no effect. `salt` makes another history.
std::vector<Effect> effects_of(std::uint64_t seq, std::uint64_t salt = 0);

/// Chain hash of the history up to `seq`.
std::uint64_t chain_at(std::uint64_t seq, std::uint64_t salt = 0);
EffectCursor cursor_at(std::uint64_t seq, std::uint64_t salt = 0);

/// The history as an effects log of records first .. last, both of which may move while it is read.
class MemoryLog final : public EffectSource {
public:
    MemoryLog(std::uint64_t last, std::uint64_t salt = 0) noexcept : last_{last}, salt_{salt} {}
    Status seek(const EffectCursor& cursor) noexcept override;
    Result<std::optional<EffectCursor>> next(std::vector<Effect>& out) noexcept override;
    [[nodiscard]] bool begins_whole() const override { return first_ == 1; }
    void set_first(std::uint64_t first) noexcept { first_ = first; }
    void set_last(std::uint64_t last) noexcept { last_ = last; }
    void fail_next() noexcept { fail_ = true; }

private:
    std::uint64_t first_ = 1;
    std::uint64_t last_;
    std::uint64_t salt_;
    std::uint64_t at_ = 0;
    bool fail_ = false;
};

/// Every row of every table as text, with how it is stored, but the cursor's and what is of no
/// effect: the store's own history and the failures of others.
std::string dump(const std::string& path);

/// What a store holds after records 1 .. last, made in one go.
std::string expected_dump(const std::string& dir, std::uint64_t last, std::uint64_t salt = 0);

/// Makes of a store one that a build of schema 3, 4 or 5 has left.
void to_schema(const std::string& path, int version);

/// Whether `path` holds exactly `expected`; if not, the first line that differs.
::testing::AssertionResult holds(const std::string& path, const std::string& expected);

/// While it lives no file of this process may grow beyond `bytes`: the error of a full disk.
class FileSizeLimit {
public:
    explicit FileSizeLimit(rlim_t bytes) {
        ::signal(SIGXFSZ, SIG_IGN);
        ::getrlimit(RLIMIT_FSIZE, &before_);
        rlimit limit = before_;
        limit.rlim_cur = bytes;
        ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }
    FileSizeLimit(const FileSizeLimit&) = delete;
    FileSizeLimit& operator=(const FileSizeLimit&) = delete;

private:
    rlimit before_{};
};

/// Rows that a reader of a store says it has read.
struct RowsHeard final : ReadingHeard {
    void rows(std::uint64_t so_far) noexcept override {
        rises = rises && so_far == count + 1;
        count = so_far;
    }
    std::uint64_t count = 0;
    bool rises = true;  // by one each time
};

/// A directory and a segment of its own per test.
class SqliteFixture : public ::testing::Test {
protected:
    void SetUp() override;
    void TearDown() override;

    [[nodiscard]] SqliteSinkOptions options() const;
    /// A sink over records 1 .. last; `log` then points to its log.
    std::unique_ptr<SqliteSink> sink(std::uint64_t last, std::uint64_t salt = 0,
                                     MemoryLog** log = nullptr);
    /// Steps `s` on a clock of its own until it has stored `seq`, at most `steps` times.
    [[nodiscard]] bool run_to(SqliteSink& s, std::uint64_t seq, int steps = 20'000);
    /// Every distinct error so far, for messages of tests.
    [[nodiscard]] std::string error_log() const;
    [[nodiscard]] bool errors_mention(std::string_view text) const;
    /// The replica serves and has applied everything up to `seq`, the end of the journal.
    void replica_is_at(std::uint64_t seq);
    [[nodiscard]] std::uint64_t errors() const { return segment_->core().sqlite_errors.load(); }

    std::string dir_;
    std::string path_;
    std::unique_ptr<Segment> segment_;
    Nanos now_ = seconds(1'000);
};

}  // namespace millrace::sqlite_test
