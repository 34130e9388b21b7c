// What a store knows of an engine's state: all that is left when segment and journal directory are
// lost. One reader for each store; tools/millrace/recover_build.h makes a journal of it.
//
// A reader refuses a store that is damaged; one that is whole and does not hold everything (it was
// filled from a log that retention had cut, a row has expired) is read, and `gaps` says what lacks.
#pragma once

#include "core/restored.h"
#include "core/result.h"
#include "persist/effect_source.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace millrace {

struct ClickHouseStoreOptions;  // persist/clickhouse_store.h
struct RedisPlace;              // persist/redis_primary.h
struct RedisStoreOptions;       // persist/redis_store.h

struct StoredState {
    std::string where;           // it was read, for people
    std::string backup;          // of the lost store, which it was read of in its place
    std::uint32_t instance = 0;  // of the lost journal directory; 0 = the store does not know it
    EffectCursor cursor;         // it follows the log up to here; what came later is unknown to it
    std::uint64_t intent = 0;    // highest order id in it
    Nanos latest;                // highest time in it
    std::uint64_t signals_known = 0;  // of which the newest, and those of `orders`, are below
    bool kill_used = false;           // the kill switch was: a store does not say if it still is
    std::vector<DefinitionRow> definitions;
    std::vector<AccountRow> accounts;
    std::vector<SignalRow> signals;     // accepted ones, oldest first
    std::vector<RestoredOrder> orders;  // by intent
    std::vector<Effect> newer;          // Redis only: its rows beyond this record, which is
    Sequence newer_than{UINT64_MAX};    // StoredLimits::newer_than
    /// What it should hold and does not, each by name: it is half a state. Empty = none is known.
    std::vector<std::string> gaps;
};

/// What an account is while its session is up: by an operator, a broker's refusal or a loss limit.
/// @return nothing if the row does not say it: its writer's build did not, and the session was
/// down.
[[nodiscard]] std::optional<AccountState> standing_state(const AccountRow& row) noexcept;

/// Hears how a long reading gets on.
class ReadingHeard {
public:
    virtual ~ReadingHeard() = default;
    /// @param count of rows read so far; called after each.
    virtual void rows(std::uint64_t count) noexcept = 0;
};

struct StoredLimits {
    std::int64_t window_ns = 0;     // accepted signals older than this are left out, unless needed
    std::size_t signals_max = 0;    // as are the oldest beyond this many
    ReadingHeard* heard = nullptr;  // by the reading thread; outlives the reading
    Sequence newer_than{UINT64_MAX};  // rows of later records are wanted as they are, too
    bool gaps_will_do = false;        // a store with gaps, rather than a whole backup behind it
    bool backup_will_do = false;      // that backup, rather than a store with gaps
};

/// Reads the SQLite store, or the copy of one, at `path`: read-only, after an integrity check.
/// @return NotFound: no file; BadChecksum: damaged; BadMagic, BadVersion: not ours, or of a newer
/// build; Busy, IoError. `message` is a sentence for people.
[[nodiscard]] Result<StoredState> read_sqlite_state(const std::string& path,
                                                    const StoredLimits& limits,
                                                    std::string& message);

/// Reads the generation in use of the Redis at `place`, each hash by its checksum; writes nothing.
/// @return NotFound: nothing of ours is there; IoError, Timeout: no primary is to be reached;
/// BadChecksum: damaged; BadVersion: of an older or newer build; Busy: somebody writes; else as
/// RedisLink. `message` as above.
[[nodiscard]] Result<StoredState> read_redis_state(const RedisPlace& place,
                                                   const RedisStoreOptions& options,
                                                   const StoredLimits& limits,
                                                   std::string& message);

/// Reads the newest history of the ClickHouse database that `options` name; makes and writes
/// nothing. Takes as many requests as there are kinds and thousands of ids.
/// @return NotFound: no such table, or it is empty; else as ClickHouseHttp. `message` as above.
[[nodiscard]] Result<StoredState> read_clickhouse_state(ClickHouseStoreOptions options,
                                                        const StoredLimits& limits,
                                                        std::string& message);

}  // namespace millrace
