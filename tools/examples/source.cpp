// An example source over TCP: sells 0.10 lots on every account of a group and prints what becomes
// of it. Killed and started again with the same log it goes on where it stopped.
//
//     millrace-example-source PORT SOURCE KEY_HEX GROUP SYMBOL ACK_LOG
#include "gateway/signal_client.h"

#include <sys/random.h>

#include <cstdio>
#include <cstdlib>

namespace {

std::vector<std::byte> from_hex(const std::string& hex) {
    std::vector<std::byte> bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        bytes.push_back(static_cast<std::byte>(std::stoul(hex.substr(i, 2), nullptr, 16)));
    }
    return bytes;
}

millrace::SignalRequest sell(const char* group, const char* symbol) {
    millrace::SignalRequest request;
    while (::getrandom(&request.id, sizeof request.id, 0) != sizeof request.id) {
    }
    request.group = group;
    request.symbol = symbol;
    request.side = millrace::Side::Sell;
    request.volume = millrace::Lots{millrace::kScale / 10};
    return request;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 7) {
        std::fprintf(stderr, "usage: %s PORT SOURCE KEY_HEX GROUP SYMBOL ACK_LOG\n", argv[0]);
        return 2;
    }
    millrace::SignalClientOptions options;
    options.port = static_cast<std::uint16_t>(std::atoi(argv[1]));
    options.source = argv[2];
    options.key = from_hex(argv[3]);
    options.ack_log = argv[6];
    options.resume_ack_log = true;

    bool over = false;
    millrace::SignalCallbacks callbacks;
    callbacks.on_link = [](bool up, std::string_view why) {
        std::printf("link %s %.*s\n", up ? "up" : "down:", static_cast<int>(why.size()),
                    why.data());
    };
    callbacks.on_ack = [](const millrace::SignalAnswer& a) {
        std::printf("%s: %s after %.3f ms\n", to_hex(a.id).c_str(), to_string(a.kind).data(),
                    static_cast<double>((a.ack_time - a.send_time).value) / 1e6);
    };
    callbacks.on_refused = [&](const millrace::SignalAnswer& a) {
        std::printf("%s: refused, %s %.*s\n", to_hex(a.id).c_str(), to_string(a.reason).data(),
                    static_cast<int>(a.text.size()), a.text.data());
        over = true;
    };
    callbacks.on_result = [&](const millrace::SignalResult& r) {
        std::printf("%s: result %d account %u status %c\n", to_hex(r.signal).c_str(),
                    static_cast<int>(r.kind), r.account.value,
                    r.ord_status != 0 ? r.ord_status : '-');
        over = over || r.kind == millrace::ResultKind::SignalDone;
    };

    std::string message;
    auto client = millrace::SignalClient::create(options, callbacks, message);
    if (!client) {
        std::fprintf(stderr, "%s\n", message.c_str());
        return 1;
    }
    millrace::SignalClient& source = *client.value();
    if (const auto taken = source.submit(sell(argv[4], argv[5])); !taken) {
        std::fprintf(stderr, "not submitted: %s\n", taken.error().what);
        return 1;
    }
    const millrace::Nanos until = source.now() + millrace::seconds(60);
    while (!over && source.now() < until) {
        source.poll(1'000);
    }
    std::fprintf(stderr, "%s",
                 over ? "" : ("no outcome yet: " + source.last_error() + "\n").c_str());
    return over ? 0 : 1;
}
