#include "persist/shipped_records.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <system_error>
#include <vector>

#include "persist/effects_files.h"
#include "persist/sqlite_store.h"
#include "shm/clock.h"

namespace millrace {
namespace {

constexpr std::size_t kBatchRows = 2000;

/// The effects of whole records, and where they end.
class Shipped {
public:
    Shipped(EffectsReader reader, SqliteStore& store)
        : reader_{std::move(reader)}, store_{store}, at_{store.cursor()} {}

    [[nodiscard]] Status add_all(ShippedRecords& added) {
        for (;;) {
            switch (reader_.next()) {
                case EffectStatus::Effect: batch_.push_back(reader_.effect()); continue;
                case EffectStatus::Mark:
                    ++added.records;
                    take_mark();
                    if (batch_.size() >= kBatchRows) {
                        if (auto stored = store(); !stored) {
                            return stored;
                        }
                    }
                    continue;
                case EffectStatus::End:
                case EffectStatus::Corrupt: added.end = end_of_it(); return store();
            }
        }
    }

private:
    void take_mark() {
        const LogCursor& mark = reader_.cursor();
        at_ = {mark.epoch, mark.seq, batch_.empty() ? 0 : batch_.back().k, mark.chain};
        whole_ = batch_.size();
    }

    [[nodiscard]] Status store() {
        batch_.resize(whole_);  // a record without its mark is not complete
        whole_ = 0;
        if (at_ == store_.cursor()) {
            return ok_status();
        }
        const Status stored = store_.store(batch_, at_, Nanos{wall_ns()});
        batch_.clear();
        return stored;
    }

    /// In words that are about a copy: nothing can be made again of it.
    [[nodiscard]] std::string end_of_it() const {
        if (reader_.fault().empty()) {
            return {};
        }
        const std::string fault = reader_.fault().substr(0, reader_.fault().find(". Remove "));
        const std::string behind = ", behind record " + std::to_string(at_.seq.value);
        return reader_.valid_behind_fault() ? "DAMAGED, and not read further: " + fault + behind
                                            : "it ends there, " + fault + behind;
    }

    EffectsReader reader_;
    SqliteStore& store_;
    std::vector<Effect> batch_;
    std::size_t whole_ = 0;  // effects in batch_ whose record is complete
    EffectCursor at_;
};

Status add_to(SqliteStore& store, const std::string& folder, ShippedRecords& added) {
    const EffectCursor& from = store.cursor();
    auto reader = EffectsReader::resume(folder, {from.epoch, from.seq, from.chain}, added.end);
    if (!reader) {
        return ok_status();  // said in added.end
    }
    Status done = Shipped{std::move(reader).value(), store}.add_all(added);
    if (done && added.records != 0) {
        done = store.note(Nanos{wall_ns()}, "restored",
                          "a backup and " + std::to_string(added.records) +
                              " records that were shipped behind it, up to record " +
                              std::to_string(store.cursor().seq.value));
    }
    return done ? store.checkpoint() : done;
}

/// Of the newest file that has one: a power cut may leave the one that was just begun without.
std::optional<EffectsHeader> newest_header(const std::string& folder) {
    const auto numbers = effects::list(folder);
    for (std::size_t i = numbers ? numbers.value().size() : 0; i-- > 0;) {
        const std::uint64_t number = numbers.value()[i];
        const int fd = ::open(effects::path_of(folder, number).c_str(), O_RDONLY | O_CLOEXEC);
        const auto header = effects::read_header(fd, number);
        if (fd >= 0) {
            ::close(fd);
        }
        if (header) {
            return header.value();
        }
    }
    return std::nullopt;
}

}  // namespace

Result<ShippedRecords> add_shipped_records(const std::string& folder, const std::string& path,
                                           std::string& message) {
    SqliteStoreOptions options;
    options.path = path;
    options.quick_check = false;  // in full when it was restored
    SqliteStore store;
    Status done = store.open(options);
    ShippedRecords added;
    std::error_code none;
    if (done && std::filesystem::is_directory(folder, none)) {
        done = add_to(store, folder, added);
    }
    added.upto = store.cursor();
    message = done ? message : store.message();
    return done ? Result<ShippedRecords>{added} : done.error();
}

Sequence shipped_upto(const std::string& folder) {
    const auto header = newest_header(folder);
    if (!header) {
        return Sequence{0};
    }
    std::string ignored;
    auto reader = EffectsReader::resume(folder, header->mark, ignored);
    if (!reader) {
        return header->mark.seq;
    }
    for (EffectStatus status = EffectStatus::Mark;
         status == EffectStatus::Effect || status == EffectStatus::Mark;) {
        status = reader.value().next();
    }
    return reader.value().cursor().seq;
}

}  // namespace millrace
