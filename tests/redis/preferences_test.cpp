// Goal: Redis holds the preferences as they are in force, and gives them back only as they were
// written. Method: a real server; fields changed behind our back.
#include "tests/redis/server.h"
#include "tools/millrace/preferences_redis.h"

namespace millrace::redis_test {
namespace {

TEST(RedisPreferences, AreWhatWasWrittenLastAndNothingThatWasChangedSince) {
    const TempDir dir;
    RedisProcess redis{{dir.path() + "/one", free_port()}};
    redis.start();
    RedisPlace place;
    place.servers = {redis.at()};
    const std::string prefix = "millrace:test:";
    std::string message;
    EXPECT_EQ(get_preferences(place, prefix, message).code(), Errc::NotFound);

    const auto first = put_preferences(place, prefix, "{}", message);
    ASSERT_TRUE(first.ok()) << message;
    EXPECT_TRUE(first.value());
    EXPECT_FALSE(put_preferences(place, prefix, "{}", message).value()) << "it is there already";
    EXPECT_EQ(redis.ask({"HGET", "millrace:test:PREFS", "version"}), "1");
    const std::string text = "{\"display\": {\"time_zone\":\r\n \"UTC\"}}";
    EXPECT_TRUE(put_preferences(place, prefix, text, message).value());
    EXPECT_EQ(redis.ask({"HGET", "millrace:test:PREFS", "version"}), "2");
    EXPECT_EQ(get_preferences(place, prefix, message).value(), text);

    for (const char* field : {"text", "version", "sum", "schema"}) {
        (void)redis.ask({"HSET", "millrace:test:PREFS", field, "7"});
        EXPECT_EQ(get_preferences(place, prefix, message).code(), Errc::BadChecksum) << field;
        EXPECT_TRUE(put_preferences(place, prefix, text, message).value()) << "it is mended";
        EXPECT_EQ(get_preferences(place, prefix, message).value(), text) << field;
    }
    redis.kill();
    EXPECT_FALSE(put_preferences(place, prefix, text, message).ok());
    EXPECT_FALSE(message.empty());
}

}  // namespace
}  // namespace millrace::redis_test
