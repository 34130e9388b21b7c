// What the stream RTRS says of signals, as a reader of it sees them.
#pragma once

#include "core/signal.h"
#include "persist/redis_link.h"
#include "persist/redis_parse.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace millrace::chaos {

/// What was published of one signal.
struct Published {
    std::string states;        // in their order, a blank behind each
    std::uint32_t filled = 0;  // accounts that carried it out, as its DONE says

    [[nodiscard]] bool has(std::string_view state) const noexcept {
        return states.find(state) != std::string::npos;
    }
};

inline std::map<SignalId, Published> published(RedisLink link, const std::string& stream) {
    std::map<SignalId, Published> said;
    const auto all = link.call({"XRANGE", stream, "-", "+"});
    EXPECT_TRUE(all.ok()) << link.message();
    for (std::size_t i = 0; all.ok() && i < all.value().size(); ++i) {
        const RedisView fields = all.value()[i][1];
        SignalId id;
        if (fields.field("event").text() == "signal" &&
            parse_uuid(fields.field("signal").text(), id)) {
            Published& of = said[id];
            of.states += std::string{fields.field("state").text()} + " ";
            of.filled = static_cast<std::uint32_t>(fields.field("filled").integer());
        }
    }
    return said;
}

}  // namespace millrace::chaos
