#include "tests/simbroker/harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <thread>

namespace millrace::sim::test {
namespace {

using Clock = std::chrono::steady_clock;
constexpr char kKey[] = "00112233445566778899aabbccddeeff";

Clock::time_point in_ms(int ms) {
    return Clock::now() + std::chrono::milliseconds{ms};
}

std::vector<std::byte> key_bytes() {
    std::vector<std::byte> bytes;
    for (std::size_t i = 0; i + 1 < sizeof kKey; i += 2) {
        bytes.push_back(static_cast<std::byte>(std::stoul(std::string{kKey + i, 2}, nullptr, 16)));
    }
    return bytes;
}

}  // namespace

TempDir::TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "simbroker_XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
}
TempDir::~TempDir() {
    std::error_code ignored;  // a directory that stays behind fails no test
    std::filesystem::remove_all(dir_, ignored);
}

Stage::Stage() {
    listen_fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listen_fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listen_fd_, 4), 0);
    EXPECT_EQ(::getsockname(listen_fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
}
Stage::~Stage() {
    close();
    ::close(listen_fd_);
}

void Stage::close() {
    if (fd_ >= 0) {
        ::close(fd_);
        fd_ = -1;
    }
    reader_.reset();
    acked_ = 0;
}

bool Stage::wait_readable(int fd, Clock::time_point deadline) const {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd p{fd, POLLIN, 0};
    return left.count() > 0 && ::poll(&p, 1, static_cast<int>(left.count())) > 0;
}

template <class Body>
void Stage::send(bridge::FrameType type, std::uint64_t seq, const Body& body) {
    std::byte out[wire::kFrameBytesMax];
    const std::size_t bytes = wire::encode(out, type, bridge::kVersion, seq, body);
    send_bytes(std::span{out}.first(bytes));
}

void Stage::send_bytes(std::span<const std::byte> bytes) {
    ASSERT_EQ(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
}

std::optional<wire::Frame> Stage::read_frame(Clock::time_point deadline) {
    for (;;) {
        const auto frame = reader_.next();
        EXPECT_TRUE(frame.ok()) << (frame.ok() ? "" : frame.error().what);
        if (!frame.ok()) {
            return std::nullopt;
        }
        if (frame.value() != nullptr) {
            return *frame.value();
        }
        if (fd_ < 0 || !wait_readable(fd_, deadline)) {
            return std::nullopt;
        }
        const auto room = reader_.space();
        const ssize_t n = ::recv(fd_, room.data(), room.size(), 0);
        if (n <= 0) {
            close();
            return std::nullopt;
        }
        reader_.filled(static_cast<std::size_t>(n));
    }
}

bridge::Hello Stage::accept_hello() {
    bridge::Hello hello{};
    const auto deadline = in_ms(180'000);
    while (Clock::now() < deadline) {
        close();
        if (!wait_readable(listen_fd_, deadline)) {
            break;
        }
        fd_ = ::accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC);
        bridge::Challenge challenge{};
        wire::fill_nonce(challenge.nonce);
        std::byte out[wire::kFrameBytes<bridge::Challenge>];
        const std::size_t bytes =
            wire::encode(out, bridge::FrameType::Challenge, bridge::kVersion, 0, challenge);
        // A process that was killed may have left a dead connection in the backlog: the next one.
        const bool sent = ::send(fd_, out, bytes, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes);
        const auto frame = sent ? read_frame(deadline) : std::nullopt;
        if (!frame || frame->header.type != static_cast<std::uint8_t>(bridge::FrameType::Hello)) {
            continue;
        }
        hello = frame->as<bridge::Hello>().value();
        wire::Mac mac;
        const auto key = key_bytes();
        const auto signed_part =
            std::as_bytes(std::span{&hello, 1}).first(offsetof(bridge::Hello, mac));
        wire::hmac_sha256(key, std::as_bytes(std::span{challenge.nonce}), signed_part, mac);
        EXPECT_TRUE(wire::same_mac(mac, hello.mac));
        std::memcpy(nonce_, hello.nonce, sizeof nonce_);
        return hello;
    }
    ADD_FAILURE() << "no terminal said HELLO in 180 s";
    return hello;
}

void Stage::welcome(const Session& session) {
    bridge::Welcome body{};
    body.generation = session.generation;
    body.epoch = session.epoch;
    body.command_epoch = session.command_epoch;
    body.next_command_seq = session.next_command_seq;
    body.event_seq = session.event_seq;
    body.magic_tag = session.magic_tag;
    const auto signed_part =
        std::as_bytes(std::span{&body, 1}).first(offsetof(bridge::Welcome, mac));
    wire::hmac_sha256(key_bytes(), std::as_bytes(std::span{nonce_}), signed_part, body.mac);
    body.mac[0] = static_cast<std::uint8_t>(body.mac[0] ^ (session.spoils_mac ? 1U : 0U));
    send(bridge::FrameType::Welcome, 0, body);
}

bridge::Hello Stage::open(const Session& session) {
    const bridge::Hello hello = accept_hello();
    welcome(session);
    return hello;
}

void Stage::send_command(std::uint64_t seq, const bridge::Command& command) {
    send(bridge::FrameType::Command, seq, command);
}
void Stage::send_commands(std::uint64_t seq, const std::vector<bridge::Command>& commands) {
    std::vector<std::byte> all;
    for (const bridge::Command& command : commands) {
        std::byte out[wire::kFrameBytesMax];
        const std::size_t bytes =
            wire::encode(out, bridge::FrameType::Command, bridge::kVersion, seq++, command);
        all.insert(all.end(), out, out + bytes);
    }
    send_bytes(all);
}
void Stage::send_kill(const bridge::Kill& kill) {
    send(bridge::FrameType::Kill, 0, kill);
}
void Stage::acknowledge(std::uint64_t event_seq) {
    send(bridge::FrameType::EventAck, 0, bridge::EventAck{event_seq});
}

std::optional<std::pair<std::uint64_t, bridge::Event>> Stage::next_event(int timeout_ms) {
    const auto deadline = in_ms(timeout_ms);
    while (const auto frame = read_frame(deadline)) {
        const auto type = static_cast<bridge::FrameType>(frame->header.type);
        if (type == bridge::FrameType::RxAck) {
            acked_ = frame->as<bridge::RxAck>().value().command_seq;
        }
        if (type != bridge::FrameType::Event) {
            continue;
        }
        const auto event = frame->as<bridge::Event>();
        EXPECT_TRUE(event.ok());
        if (event.value().type != static_cast<std::uint8_t>(ReportType::AccountInfo)) {
            return std::pair{frame->header.seq, event.value()};
        }
    }
    return std::nullopt;
}

bool Stage::wait_info(const std::function<bool(const bridge::Event&)>& wanted) {
    const auto deadline = in_ms(180'000);
    while (const auto frame = read_frame(deadline)) {
        if (frame->header.type != static_cast<std::uint8_t>(bridge::FrameType::Event)) {
            continue;
        }
        const bridge::Event event = frame->as<bridge::Event>().value();
        acknowledge(frame->header.seq);
        if (event.type == static_cast<std::uint8_t>(ReportType::AccountInfo) && wanted(event)) {
            return true;
        }
    }
    return false;
}

bool Stage::wait_tick(std::int64_t bid, std::int64_t ask) {
    const auto deadline = in_ms(180'000);
    while (const auto frame = read_frame(deadline)) {
        if (frame->header.type == static_cast<std::uint8_t>(bridge::FrameType::Tick)) {
            const auto tick = frame->as<bridge::Tick>().value();
            if (tick.bid == bid && tick.ask == ask) {
                return true;
            }
        }
    }
    return false;
}

bool Stage::wait_rx_ack(std::uint64_t seq) {
    const auto deadline = in_ms(180'000);
    while (acked_ < seq) {
        const auto frame = read_frame(deadline);
        if (!frame) {
            return false;
        }
        if (frame->header.type == static_cast<std::uint8_t>(bridge::FrameType::RxAck)) {
            acked_ = frame->as<bridge::RxAck>().value().command_seq;
        }
    }
    return true;
}

bool Stage::wait_closed(int timeout_ms) {
    const auto deadline = in_ms(timeout_ms);
    while (read_frame(deadline)) {
    }
    return fd_ < 0;
}

SimProcess::SimProcess(const TempDir& dir, std::uint16_t port) : SimProcess{dir, port, Options{}} {}

SimProcess::SimProcess(const TempDir& dir, std::uint16_t port, Options options)
    : control_path_{dir.path("control")} {
    const std::string config = dir.path("config.json");
    const std::string traded_by =
        options.fix.empty()
            ? R"("key":")" + std::string{kKey} + R"(","margin_mode":")" + options.margin_mode + "\""
            : R"("fix":)" + options.fix;
    std::ofstream{config} << R"({"accounts":[{"login":)" << kLogin << "," << traded_by
                          << R"(,"balance":)" << options.balance << R"(}],"symbols":["EURUSD"]})";
    std::vector<std::string> arguments{MILLRACE_SIMBROKER,
                                       "-c",
                                       config,
                                       "--connect",
                                       "127.0.0.1:" + std::to_string(port),
                                       "--books",
                                       dir.path("books"),
                                       "--journal-dir",
                                       dir.path("intents"),
                                       "--control",
                                       control_path_,
                                       "--manual-quotes",
                                       "--absent-after-ms",
                                       options.absent_after_ms};
    arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
    std::vector<char*> argv;
    for (std::string& argument : arguments) {
        argv.push_back(argument.data());
    }
    argv.push_back(nullptr);
    int out[2];
    EXPECT_EQ(::pipe2(out, O_CLOEXEC), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
        ::dup2(out[1], STDOUT_FILENO);
        ::execv(MILLRACE_SIMBROKER, argv.data());
        ::_exit(127);
    }
    ::close(out[1]);
    char line[64];
    pollfd ready{out[0], POLLIN, 0};
    EXPECT_GT(::poll(&ready, 1, 180'000), 0);
    EXPECT_GT(::read(out[0], line, sizeof line), 0) << "the simulated broker did not start";
    ::close(out[0]);
}

SimProcess::~SimProcess() {
    kill9();
}

void SimProcess::kill9() {
    if (pid_ > 0) {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }
}

int SimProcess::wait_death() {
    int status = -1;
    for (const auto deadline = in_ms(180'000); Clock::now() < deadline;) {
        if (::waitpid(pid_, &status, WNOHANG) == pid_) {
            pid_ = -1;
            return status;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{2});
    }
    ADD_FAILURE() << "the simulated broker is still alive";
    return status;
}

int SimProcess::stop() {
    ::kill(pid_, SIGTERM);
    const int status = wait_death();
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool SimProcess::dead() {
    if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) == pid_) {
        pid_ = -1;
    }
    return pid_ <= 0;
}

std::optional<nlohmann::json> SimProcess::try_control(const nlohmann::json& command) const {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, control_path_.c_str(), control_path_.size());
    const std::string line = command.dump() + "\n";
    const bool sent =
        ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
        ::send(fd, line.data(), line.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(line.size());
    std::string answer;
    char byte = 0;
    while (sent && ::recv(fd, &byte, 1, 0) == 1 && byte != '\n') {
        answer += byte;
    }
    ::close(fd);
    auto parsed = nlohmann::json::parse(answer, nullptr, false);
    return parsed.is_object() ? std::optional{parsed} : std::nullopt;
}

nlohmann::json SimProcess::control(const nlohmann::json& command) {
    const auto answer = try_control(command);
    EXPECT_TRUE(answer && answer->value("ok", false))
        << command << " -> " << answer.value_or(nlohmann::json{});
    return answer.value_or(nlohmann::json::object());
}

void SimProcess::quote(const char* bid, const char* ask) {
    control({{"cmd", "tick"}, {"symbol", "EURUSD"}, {"bid", bid}, {"ask", ask}});
}

bridge::Command open_command(std::uint64_t intent, unsigned attempt) {
    bridge::Command command{};
    command.epoch = 1;
    command.generation = 1;
    command.magic = Magic::make(kTag, intent, attempt).value;
    command.type = static_cast<std::uint8_t>(CommandType::Open);
    std::memcpy(command.symbol, "EURUSD", 6);
    command.volume = kScale / 10;
    return command;
}

bridge::Command query_command(std::uint64_t magic) {
    bridge::Command command{};
    command.epoch = 1;
    command.generation = 1;
    command.magic = magic;
    command.type = static_cast<std::uint8_t>(CommandType::Query);
    return command;
}

}  // namespace millrace::sim::test
