#include "tests/redis/sink_fixture.h"
#include "tests/shm/error_log.h"
#include "tests/shm/small_segment.h"

#include <algorithm>
#include <sstream>

namespace millrace::redis_test {
namespace {

constexpr const char* kPrefix = "millrace:test:";

/// The same for all servers of one test, or two runs would differ by it.
Nanos base_time() {
    static const Nanos base = Nanos{wall_ns() / 1'000'000'000 * 1'000'000'000};
    return base;
}

std::string fields_of(RedisLink& link, std::initializer_list<std::string_view> words) {
    const auto got = link.call(words);
    EXPECT_TRUE(got.ok()) << link.message();
    std::vector<std::string> lines;
    for (std::size_t i = 0; got.ok() && i + 1 < got.value().size(); i += 2) {
        lines.push_back(std::string{got.value()[i].text()} + "=" +
                        std::string{got.value()[i + 1].text()});
    }
    std::sort(lines.begin(), lines.end());
    std::string text;
    for (const std::string& l : lines) {
        text += " " + l;
    }
    return text;
}

std::string results_of(RedisLink& link) {
    const auto got = link.call({"XRANGE", std::string{kPrefix} + "RTRS", "-", "+"});
    EXPECT_TRUE(got.ok()) << link.message();
    std::string text;
    for (std::size_t i = 0; got.ok() && i < got.value().size(); ++i) {
        text += "RTRS " + std::string{got.value()[i][0].text()};
        const RedisView fields = got.value()[i][1];
        for (std::size_t f = 0; f < fields.size(); ++f) {
            text += " " + std::string{fields[f].text()};
        }
        text += "\n";
    }
    return text;
}

}  // namespace

Result<std::optional<EffectCursor>> RecentLog::next(std::vector<Effect>& out) noexcept {
    log_.set_last(*last_);
    const std::size_t before = out.size();
    auto got = log_.next(out);
    for (std::size_t i = before; i < out.size(); ++i) {
        out[i].time = out[i].time + base_time();
    }
    return got;
}

void RedisSinkFixture::SetUp() {
    (void)base_time();  // now, or each forked child would take its own
    segment_ = test::small_segment(dir_.path() + "/segment");
    ASSERT_NE(segment_, nullptr);
}

std::unique_ptr<RedisProcess> RedisSinkFixture::server(const std::string& name,
                                                       const std::string& extra) {
    auto made = std::make_unique<RedisProcess>(RedisProcess::Options{
        dir_.path() + "/" + name, free_port(), false,
        "appendonly yes\nmaxmemory-policy noeviction\nmaxmemory 500mb\nsave 300 1\n" + extra});
    made->start();
    return made;
}

RedisSinkOptions RedisSinkFixture::options(const RedisPlace& place) const {
    RedisSinkOptions o;
    o.place = place;
    o.store.prefix = kPrefix;
    o.batch_rows = 60;
    o.batch_time = millis(5);
    o.retry_min = millis(20);
    o.retry_max = millis(200);
    o.primary_every = millis(300);
    o.upkeep_every = millis(50);
    o.behind_grace = millis(300);
    return o;
}

RedisSinkOptions RedisSinkFixture::options(const RedisProcess& server) const {
    RedisPlace place;
    place.servers = {server.at()};
    place.timeouts = {seconds(1), seconds(4)};
    return options(place);
}

std::unique_ptr<RedisSink> RedisSinkFixture::sink(const RedisSinkOptions& o) {
    return std::make_unique<RedisSink>(
        *segment_,
        [last = last_, first = first_, salt = salt_] {
            return std::make_unique<RecentLog>(last, first, salt);
        },
        o);
}

::testing::AssertionResult RedisSinkFixture::run_to(RedisSink& s, std::uint64_t seq, int limit_s) {
    const bool there = run_until(
        s,
        [&] { return s.following() && s.stored().seq.value >= seq && s.drained() && !s.failing(); },
        limit_s);
    if (there) {
        return ::testing::AssertionSuccess();
    }
    return ::testing::AssertionFailure()
           << "came to record " << s.stored().seq.value << " of " << seq << "\n"
           << error_log();
}

std::string RedisSinkFixture::error_log() const {
    return test::error_log(*segment_);
}

void RedisSinkFixture::forge_cursor(
    const RedisProcess& at, const std::vector<std::pair<std::string, std::string>>& fields) {
    const std::string key = std::string{kPrefix} + "g1:CURSOR";
    (void)at.ask({"DEL", key});
    RedisSum sum{"CURSOR"};
    for (const auto& [name, value] : fields) {
        sum.add(name, value);
        (void)at.ask({"HSET", key, name, value});
    }
    RedisFields hex;
    hex.checksum("sum", sum.value());
    (void)at.ask({"HSET", key, "sum", hex.value(0)});
}

std::string RedisSinkFixture::dump(const RedisProcess& at) {
    RedisLink link = at.link();
    const auto pointer = link.call({"GET", std::string{kPrefix} + "GENERATION"});
    EXPECT_TRUE(pointer.ok()) << link.message();
    const std::string keys = kPrefix + ("g" + std::string{pointer.value().text()}) + ":";
    std::map<std::string, std::string> rows;
    std::string cursor = "0";
    do {
        const auto page = link.call({"SCAN", cursor, "MATCH", keys + "*", "COUNT", "1000"});
        EXPECT_TRUE(page.ok()) << link.message();
        for (std::size_t i = 0; i < page.value()[1].size(); ++i) {
            const std::string key{page.value()[1][i].text()};
            const bool ends = link.call({"PTTL", key}).value().integer() > 0;
            rows[key.substr(keys.size())] =
                (ends ? " ends" : "") + fields_of(link, {"HGETALL", key});
        }
        cursor = page.value()[0].text();
    } while (cursor != "0");
    std::string text;
    for (const auto& [key, fields] : rows) {
        text += key + fields + "\n";
    }
    return text + results_of(link);
}

std::string RedisSinkFixture::expected(std::uint64_t last, std::uint64_t salt) {
    const auto quiet = server("undisturbed-" + std::to_string(last) + "-" + std::to_string(salt));
    auto o = options(*quiet);
    o.batch_rows = 100'000;
    const auto up_to = std::make_shared<std::uint64_t>(last);
    RedisSink s{*segment_, [&] { return std::make_unique<RecentLog>(up_to, first_, salt); }, o};
    EXPECT_TRUE(run_to(s, last));
    return dump(*quiet);
}

::testing::AssertionResult RedisSinkFixture::same(const std::string& found,
                                                  const std::string& wanted) {
    std::istringstream a{found};
    std::istringstream b{wanted};
    for (int line = 1;; ++line) {
        std::string x;
        std::string y;
        const bool more_x = static_cast<bool>(std::getline(a, x));
        const bool more_y = static_cast<bool>(std::getline(b, y));
        if (!more_x && !more_y) {
            return ::testing::AssertionSuccess();
        }
        if (x != y) {
            return ::testing::AssertionFailure()
                   << "line " << line << ":\n  " << x << "\n  wanted " << y;
        }
    }
}

}  // namespace millrace::redis_test
