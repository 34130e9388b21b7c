// A sink over a known history, real servers, and all that a generation holds as text.
#pragma once

#include "persist/redis_sink.h"
#include "tests/redis/server.h"
#include "tests/sqlite/effects.h"

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace millrace::redis_test {

/// The history of tests/sqlite, moved to the present: what ended is to be kept for a day.
class RecentLog final : public EffectSource {
public:
    /// @param last of the history; shared, so that every reader sees it grow.
    RecentLog(std::shared_ptr<std::uint64_t> last, std::uint64_t first, std::uint64_t salt)
        : last_{std::move(last)}, log_{*last_, salt} {
        log_.set_first(first);
    }
    Status seek(const EffectCursor& cursor) noexcept override {
        log_.set_last(*last_);
        return log_.seek(cursor);
    }
    Result<std::optional<EffectCursor>> next(std::vector<Effect>& out) noexcept override;
    [[nodiscard]] bool begins_whole() const override { return log_.begins_whole(); }

private:
    std::shared_ptr<std::uint64_t> last_;
    sqlite_test::MemoryLog log_;
};

class RedisSinkFixture : public ::testing::Test {
protected:
    void SetUp() override;
    /// One server with good settings, in `dir_`.
    std::unique_ptr<RedisProcess> server(const std::string& name, const std::string& extra = "");

    [[nodiscard]] RedisSinkOptions options(const RedisPlace& place) const;
    [[nodiscard]] RedisSinkOptions options(const RedisProcess& server) const;
    /// A sink over the history up to *last_.
    std::unique_ptr<RedisSink> sink(const RedisSinkOptions& options);
    /// Steps `s` in real time until readers see record `seq` of it.
    [[nodiscard]] ::testing::AssertionResult run_to(RedisSink& s, std::uint64_t seq,
                                                    int limit_s = 180);
    /// Steps `s` in real time until `done`.
    template <class F>
    [[nodiscard]] bool run_until(RedisSink& s, F done, int limit_s = 180) {
        const std::int64_t end = monotonic_ns() + limit_s * 1'000'000'000LL;
        while (!done() && monotonic_ns() < end) {
            if (s.step(Nanos{monotonic_ns()}) == 0) {
                ::usleep(1'000);
            }
        }
        return done();
    }
    [[nodiscard]] std::string error_log() const;
    [[nodiscard]] bool errors_mention(std::string_view text) const {
        return error_log().find(text) != std::string::npos;
    }

    /// Puts a cursor with just these fields, and the checksum that fits them, into generation 1.
    static void forge_cursor(const RedisProcess& at,
                             const std::vector<std::pair<std::string, std::string>>& fields);
    /// Every hash of the generation in use with its fields, the cursor, the names and the results.
    static std::string dump(const RedisProcess& at);
    /// The same after an undisturbed run over the history, on a server of its own.
    std::string expected(std::uint64_t last, std::uint64_t salt = 0);
    /// Whether two dumps are equal; else the first line that differs.
    static ::testing::AssertionResult same(const std::string& found, const std::string& wanted);

    TempDir dir_;
    std::unique_ptr<Segment> segment_;
    std::shared_ptr<std::uint64_t> last_ = std::make_shared<std::uint64_t>(0);
    std::uint64_t first_ = 1;
    std::uint64_t salt_ = 0;
};

}  // namespace millrace::redis_test
