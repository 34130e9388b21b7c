#include "tools/demo_run/source.h"

namespace millrace::demo {
namespace {

constexpr Nanos kAskEvery = seconds(1);

}  // namespace

Result<std::unique_ptr<Source>> Source::create(const SourceOptions& options, std::string& message) {
    std::unique_ptr<Source> source{new Source{options}};
    Source* self = source.get();
    SignalCallbacks callbacks;
    callbacks.on_ack = [self](const SignalAnswer& a) { self->on_ack(a); };
    callbacks.on_refused = [self](const SignalAnswer& a) { self->on_refused(a); };
    callbacks.on_result = [self](const SignalResult& r) { self->lives_.result(r, self->now()); };
    auto client = SignalClient::create(options.client, callbacks, message);
    if (!client) {
        return client.error();
    }
    source->client_ = std::move(client.value());
    return source;
}

Status Source::send(const Planned& planned) {
    SignalRequest request = planned.request;
    if (request.ttl_ms == 0) {
        request.ttl_ms = ttl_ms_;
    }
    const Nanos at = now();
    const Life* first = keep_stamps_ ? lives_.find(request.id) : nullptr;
    request.send_time = first != nullptr ? first->request.send_time : at;
    if (const Status s = client_->submit(request); !s) {
        return s;
    }
    if (planned.is_repeat) {
        ++counts_.repeats;
        return ok_status();
    }
    ++counts_.sent;
    lives_.sent(request, planned.purpose, at);
    return ok_status();
}

void Source::ask_again() {
    const Nanos at = now();
    for (const SignalId& id : lives_.open()) {
        const Life& life = *lives_.find(id);
        Nanos& last = asked_[id];
        const Nanos since = last.value != 0 ? last : life.acked;
        if (life.answer != Answer::Accepted || at < since + kAskEvery) {
            continue;
        }
        last = at;
        SignalRequest again = life.request;
        if (!keep_stamps_) {
            again.send_time = at;  // the ledger knows it by its id; the stamp is for latency alone
        }
        if (client_->submit(again)) {
            ++counts_.asked_again;
        }
    }
}

void Source::on_ack(const SignalAnswer& answer) {
    const Life* life = lives_.find(answer.id);
    const bool is_first = life != nullptr && life->answer == Answer::None;
    if (answer.kind == AckLogKind::Duplicate) {
        ++counts_.duplicates;
    }
    if (is_first) {
        ++counts_.accepted;
    }
    lives_.accepted(answer.id, now());
}

void Source::on_refused(const SignalAnswer& answer) {
    const Life* life = lives_.find(answer.id);
    if (life != nullptr && life->answer == Answer::None) {
        ++(life->purpose == Purpose::Trade ? counts_.refused : counts_.refused_on_purpose);
        if (life->purpose == Purpose::Trade) {
            ++counts_.refusals[std::string{to_string(answer.reason)}];
        }
    }
    lives_.refused(answer.id, answer.reason, answer.text, now());
}

}  // namespace millrace::demo
