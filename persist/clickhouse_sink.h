// ClickHouseSink: the stage that follows the effects log and keeps ClickHouse up to it.
//
// It may block, for bounded times, and nothing waits for it. After any failure the server's own
// cursor is read and believed: a batch whose answer was lost is known to be stored, or sent again
// as it was. Nothing is ever dropped: what the server lacks is in the effects log.
#pragma once

#include "persist/clickhouse_store.h"
#include "persist/clickhouse_verify.h"
#include "persist/failed_syncs.h"
#include "persist/log_progress.h"
#include "shm/segment.h"
#include "shm/stage.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace millrace {

struct ClickHouseSinkOptions {
    ClickHouseStoreOptions store;
    std::string sqlite_path;         // for failed_syncs and comparing; empty: neither
    AskLog ask_log;                  // which of the two is wrong; empty: nobody knows
    Nanos batch_time = millis(500);  // requirement C8: 500 ms or 50 rows, whichever is first;
    std::uint32_t batch_rows = 50;   // a sink that is behind takes up to batch_rows_max at once
    std::uint32_t batch_rows_max = 20'000;
    Nanos retry_first = seconds(5);  // requirement C7: 5 s, three times,
    std::uint32_t retries_first = 3;
    Nanos retry_later = seconds(30);   // then a row in failed_syncs and every 30 s for ever
    std::uint64_t notify_at = 5;       // failures in a row that open the breaker
    Nanos late = seconds(30);          // lag that is worth an alert
    Nanos behind_grace = seconds(30);  // for a log that ends before the server's cursor
    Nanos verify_every = seconds(3600);
    Nanos verify_again = seconds(60);  // after something was mended
};

class ClickHouseSink final : public Stage {
public:
    /// @param segment for the clickhouse_* cells and the error log; outlives it.
    ClickHouseSink(const Segment& segment, std::unique_ptr<EffectSource> source,
                   ClickHouseSinkOptions options);

    int step(Nanos now) noexcept override;
    [[nodiscard]] bool idle() const noexcept override { return resting_; }
    [[nodiscard]] Nanos park_limit(Nanos now) const noexcept override;
    /// A ClickHouse that fails holds up no stop: what it lacks is in the effects log.
    [[nodiscard]] bool drained() const noexcept override { return quiet_ || failing(); }

    /// What the server holds, as far as it is known.
    [[nodiscard]] const ClickHousePlace& server() const noexcept { return server_; }
    [[nodiscard]] const EffectCursor& stored() const noexcept { return server_.cursor; }
    [[nodiscard]] ClickHouseHistory history() const noexcept { return store_.place().history; }
    [[nodiscard]] bool failing() const noexcept { return failures_ != 0; }
    [[nodiscard]] std::uint64_t failures() const noexcept { return failures_; }
    [[nodiscard]] const ClickHouseFindings& last_findings() const noexcept { return findings_; }
    [[nodiscard]] std::uint64_t verifications() const noexcept { return verifications_; }
    /// Compares with SQLite as soon as ClickHouse has come as far.
    void verify_now() noexcept { verify_at_ = {}; }

private:
    [[nodiscard]] int work() noexcept;
    [[nodiscard]] bool open() noexcept;
    [[nodiscard]] bool seek() noexcept;
    [[nodiscard]] bool wait_for_log() noexcept;
    [[nodiscard]] bool begin_history(const char* why) noexcept;
    void follow() noexcept;
    [[nodiscard]] int pull() noexcept;
    [[nodiscard]] bool due() const noexcept;
    [[nodiscard]] bool flush() noexcept;
    [[nodiscard]] AskLog ask_log();
    [[nodiscard]] int verify() noexcept;
    void end_verify() noexcept;
    bool fail(Errc code, const std::string& message) noexcept;
    void note_failure(const std::string& message) noexcept;
    void succeeded() noexcept;
    void publish() noexcept;
    void report(const std::string& text) const noexcept {
        segment_.report_error("clickhouse", text);
    }

    const Segment& segment_;
    std::unique_ptr<EffectSource> source_;
    ClickHouseSinkOptions options_;
    ClickHouseStore store_;
    FailedSyncs failed_syncs_;
    std::optional<ClickHouseVerify> verify_;
    ClickHouseFindings findings_;
    std::uint64_t verifications_ = 0;

    std::vector<Effect> batch_;
    EffectCursor pending_;  // after the last effect of batch_
    StoredUpTo stored_up_to_;
    ClickHousePlace server_;  // what the server holds, as far as it is known
    bool following_ = false;  // source_ stands at pending_
    bool fresh_ = false;      // the history has no batch yet
    bool whole_ = false;      // it holds everything since its log began
    Nanos batch_since_{};
    bool quiet_ = false;    // everything that the log holds is stored
    bool resting_ = false;  // the last step found nothing to do

    std::uint64_t failures_ = 0;  // in a row
    bool noted_ = true;           // failed_syncs may hold an open row of ours
    Nanos now_{};
    Nanos retry_at_{};
    Nanos failing_since_{};
    Nanos first_failed_wall_{};
    Nanos behind_since_{};
    Nanos noted_at_{};
    Nanos verify_at_{};
};

}  // namespace millrace
