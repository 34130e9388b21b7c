// Goal: the socket wrappers tell apart what their callers must tell apart. Method: loopback pairs.
#include "gateway/tcp.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace millrace::net {
namespace {

struct Pair {
    Listener listener;
    Fd client;
    Connection server{1024};

    Pair() {
        std::string message;
        listener = std::move(Listener::open({}, message).value());
        client = std::move(begin_connect("127.0.0.1", listener.port()).value());
        auto poller = Poller::open();
        EXPECT_TRUE(poller.value().add(listener.fd(), 1).ok());
        EXPECT_EQ(poller.value().wait(5000).size(), 1U);
        server.open(std::move(listener.accept().value()));
    }
};

TEST(Tcp, NamesAddressPortAndMendWhenThePortIsTaken) {
    std::string message;
    auto first = Listener::open({}, message);
    ASSERT_TRUE(first.ok());
    auto second = Listener::open({"127.0.0.1", first.value().port(), 16, millis(50)}, message);
    EXPECT_EQ(second.code(), Errc::Busy);
    EXPECT_NE(message.find(std::to_string(first.value().port())), std::string::npos);
    EXPECT_NE(message.find("another port"), std::string::npos);
}

TEST(Tcp, RefusesAnAddressThatIsNoLiteral) {
    std::string message;
    EXPECT_EQ(Listener::open({"localhost:1", 0, 16, {}}, message).code(), Errc::BadInput);
    EXPECT_NE(message.find("localhost:1"), std::string::npos);
}

TEST(Tcp, AcceptSaysBusyWhenNobodyWaits) {
    std::string message;
    auto listener = Listener::open({}, message);
    ASSERT_TRUE(listener.ok());
    EXPECT_EQ(listener.value().accept().code(), Errc::Busy);
}

TEST(Tcp, TellsNothingThereFromPeerGone) {
    Pair p;
    std::array<std::byte, 16> buffer;
    EXPECT_EQ(p.server.receive(buffer).code(), Errc::Busy);
    p.client.reset();
    Result<std::size_t> got{Errc::Busy};
    for (int i = 0; i < 100'000 && got.code() == Errc::Busy; ++i) {
        got = p.server.receive(buffer);
    }
    EXPECT_EQ(got.code(), Errc::NotFound);
}

TEST(Tcp, KeepsOrderAndCountWhenThePeerReadsLate) {
    Pair p;
    std::uint32_t next = 0;
    bool was_full = false;
    while (!was_full) {  // until socket and buffer are full
        was_full = !p.server.send(std::as_bytes(std::span{&next, 1})).ok();
        next += was_full ? 0 : 1;
        static_cast<void>(p.server.flush());
    }
    EXPECT_EQ(p.server.flush().code(), Errc::Busy);
    EXPECT_EQ(p.server.queued_total(), std::uint64_t{next} * 4);
    EXPECT_LT(p.server.sent_total(), p.server.queued_total());
    Connection reader{16};
    reader.open(std::move(p.client));
    std::vector<std::byte> all;
    std::array<std::byte, 4096> buffer;
    while (all.size() < std::size_t{next} * 4) {
        static_cast<void>(p.server.flush());
        auto got = reader.receive(buffer);
        if (got) {
            all.insert(all.end(), buffer.begin(), buffer.begin() + static_cast<long>(got.value()));
        } else {
            ASSERT_EQ(got.code(), Errc::Busy);
        }
    }
    for (std::uint32_t i = 0; i < next; ++i) {
        std::uint32_t value = 0;
        std::memcpy(&value, all.data() + std::size_t{i} * 4, 4);
        ASSERT_EQ(value, i);
    }
    EXPECT_EQ(p.server.pending_bytes(), 0U);
}

}  // namespace
}  // namespace millrace::net
