// Sends requests and finds out what became of them.
//
// A success code is not yet an answer: a market order is answered from its deals, which the history
// may show later. 10008 says only that it was sent or placed. Events of the terminal are hints to
// look again; they may come in any order, or never.

#include "Requests.mqh"

#define SUBMIT_OVER 0
#define SUBMIT_WAIT 1
#define SUBMIT_AGAIN 2  // 10030: with another filling mode
#define BUSY_MS 30000
// Without the terminal's word about a request that was sent off, how long until the account is
// asked.
#define LOOK_AFTER_MS 200

/// A request that is at the server, or whose effect is not all visible yet.
struct Flight
{
    ulong magic;
    uint request_id;  // of this run of the terminal; 0 = answered already
    bool market;
    string symbol;
    ENUM_ORDER_TYPE_FILLING filling;
    bool answered;  // the server's own answer has come
    ulong modifies;  // the position whose stops it changes; 0 = none
    ulong sent_ms;
    ulong looked_ms;
};

/// A market order that was answered with its execution.
struct Filled
{
    Command order;
    ulong position;
};

class Executor
{
private:
    Flight flights_[];
    Filled filled_[];  // not taken yet
    ulong modified_[];  // positions, not taken yet

    void fly(const Flight &flight)
    {
        int n = ArraySize(flights_);
        ArrayResize(flights_, n + 1, 64);
        flights_[n] = flight;
    }

    void land(const int i)
    {
        int n = ArraySize(flights_);
        int m = ArraySize(modified_);
        if (flights_[i].modifies != 0)
        {
            ArrayResize(modified_, m + 1, 16);
            modified_[m] = flights_[i].modifies;
        }
        flights_[i] = flights_[n - 1];
        ArrayResize(flights_, n - 1, 64);
    }

    int attempt(const ulong magic, const bool again);
    int send(const Intent &intent, Built &b);
    void conclude(const int flight, const MqlTradeResult &result);
    bool look(const int flight);

public:
    void reset()
    {
        ArrayResize(flights_, 0);
        ArrayResize(filled_, 0);
        ArrayResize(modified_, 0);
    }
    /// A position whose change has just been answered. @return false if there is none.
    bool take_modified(ulong &position)
    {
        int n = ArraySize(modified_);
        if (n == 0)
            return false;
        position = modified_[n - 1];
        ArrayResize(modified_, n - 1, 16);
        return true;
    }
    /// @return false if there is none.
    bool take_filled(Filled &filled)
    {
        int n = ArraySize(filled_);
        if (n == 0)
            return false;
        filled = filled_[n - 1];
        ArrayResize(filled_, n - 1, 16);
        return true;
    }
    int in_flight() { return ArraySize(flights_); }
    bool is_flying(const ulong magic)
    {
        for (int i = 0; i < ArraySize(flights_); i++)
            if (flights_[i].magic == magic)
                return true;
        return false;
    }
    int submit(const ulong magic);
    void on_result(const MqlTradeRequest &request, const MqlTradeResult &result);
    void follow(const bool hinted);
};

/// The code for a request that OrderSend refused without giving one.
uint code_of_error(const int error)
{
    switch (error)
    {
        case 4752: return TRADE_RETCODE_CLIENT_DISABLES_AT;
        case 4754: return TRADE_RETCODE_INVALID;
        case 4756: return TRADE_RETCODE_REJECT;  // never left the terminal
    }
    return 0;
}

/// Is what a modify or cancel asked for so?
bool is_changed(const Command &command)
{
    if (command.type == COMMAND_CANCEL)
        return !OrderSelect(command.order_ticket) && HistoryOrderSelect(command.order_ticket) &&
               HistoryOrderGetInteger(command.order_ticket, ORDER_STATE) == ORDER_STATE_CANCELED;
    if (command.type != COMMAND_MODIFY)
        return false;
    long sl = 0;
    long tp = 0;
    long price = 0;
    string symbol;
    if (command.position_ticket != 0)
    {
        if (!g_account.select_position(command.position_ticket))
            return false;
        sl = to_scaled(PositionGetDouble(POSITION_SL));
        tp = to_scaled(PositionGetDouble(POSITION_TP));
        symbol = PositionGetString(POSITION_SYMBOL);
    }
    else
    {
        if (!OrderSelect(command.order_ticket))
            return false;
        sl = to_scaled(OrderGetDouble(ORDER_SL));
        tp = to_scaled(OrderGetDouble(ORDER_TP));
        price = to_scaled(OrderGetDouble(ORDER_PRICE_OPEN));
        symbol = OrderGetString(ORDER_SYMBOL);
    }
    // As it was sent, which is rounded.
    bool same_price = command.position_ticket != 0 || command.price == 0 ||
                      price == round_scaled(symbol, command.price);
    return sl == round_scaled(symbol, command.stop_loss) &&
           tp == round_scaled(symbol, command.take_profit) && same_price;
}

/// Right before the send: is it still wanted? @return true if it has been answered instead.
bool turned_down(const Intent &intent)
{
    Event e;
    if (intent.command.ttl_ms != 0 && age_ms(intent) >= (ulong)intent.command.ttl_ms)
    {
        make_unsent(intent.command, STATUS_EXPIRED, REASON_WIRE_EXPIRED, 0, e);
        answer(intent.command.magic, e);
        return true;
    }
    if (intent.command.type == COMMAND_OPEN && g_journal.stops(intent.command.symbol))
    {
        make_unsent(intent.command, STATUS_REJECTED, REASON_WIRE_KILLED,
                    TRADE_RETCODE_SERVER_DISABLES_AT, e);
        answer(intent.command.magic, e);
        return true;
    }
    return false;
}

/// Sends a received intent, or says why not. @return SUBMIT_WAIT if it must be tried again later.
int Executor::submit(const ulong magic)
{
    int done = attempt(magic, false);
    while (done == SUBMIT_AGAIN)  // each time one filling mode fewer
        done = attempt(magic, true);
    return done;
}

/// One request, everything looked at anew: ttl, kill, quote, account. @param again after 10030, a
/// definite no.
int Executor::attempt(const ulong magic, const bool again)
{
    int i = g_journal.find(magic);
    if (i < 0 || g_journal.state_at(i) != (again ? INTENT_SENDING : INTENT_RECEIVED))
        return SUBMIT_OVER;
    Intent intent;
    g_journal.intent_at(i, intent);
    if (turned_down(intent))
        return SUBMIT_OVER;
    Built b;
    build_request(intent.command, age_ms(intent), b);
    if (b.result == BUILD_OK && !g_account.may_send())
        b.result = BUILD_WAIT;
    bool no_mode_left = b.result == BUILD_OK &&
                        is_filling_refused(b.request.symbol, b.request.type_filling);
    if (again && (no_mode_left || b.result == BUILD_WAIT))
        refuse_build(b, TRADE_RETCODE_INVALID_FILL);
    if (b.result == BUILD_WAIT)
        return SUBMIT_WAIT;
    if (b.result == BUILD_REFUSED)
    {
        Event e;
        make_refused(intent.command, b.code, e);
        answer(magic, e);
        return SUBMIT_OVER;
    }
    if (!again)
        g_journal.sending(magic);
    if (!g_journal.flush())
        return SUBMIT_OVER;  // a terminal without its journal can promise nothing: it stops
    if (turned_down(intent))  // the flush may have taken its time
        return SUBMIT_OVER;
    return send(intent, b);
}

/// Sends. @return SUBMIT_AGAIN if the filling mode was refused, and another may do.
int Executor::send(const Intent &intent, Built &b)
{
    Flight flight;
    flight.magic = intent.command.magic;
    flight.request_id = 0;
    flight.market = b.market;
    flight.symbol = b.request.symbol;
    flight.filling = b.request.type_filling;
    flight.answered = false;
    flight.modifies =
        (intent.command.type == COMMAND_MODIFY) ? intent.command.position_ticket : 0;
    flight.sent_ms = now_ms();
    flight.looked_ms = flight.sent_ms;
    MqlTradeResult result;
    ZeroMemory(result);
    bool sent = false;
    if (g_config.async)
        g_link.announce_send();
    else
        g_link.announce_busy(BUSY_MS);
    ResetLastError();
    if (g_config.async)
        sent = OrderSendAsync(b.request, result);
    else
        sent = OrderSend(b.request, result);
    int error = GetLastError();
    if (g_config.async && sent)
    {
        flight.request_id = result.request_id;
        fly(flight);
        return SUBMIT_OVER;
    }
    g_link.forgive_silence();
    if (!sent && result.retcode == 0)
        result.retcode = code_of_error(error);
    g_account.on_answer(leaves_open(result.retcode));
    if (result.retcode == TRADE_RETCODE_INVALID_FILL && b.market)
    {
        refuse_filling(flight.symbol, flight.filling);
        return SUBMIT_AGAIN;
    }
    fly(flight);
    conclude(ArraySize(flights_) - 1, result);
    return SUBMIT_OVER;
}

/// The server's answer to a request has come.
void Executor::conclude(const int i, const MqlTradeResult &result)
{
    int known = g_journal.find(flights_[i].magic);
    if (known < 0 || g_journal.state_at(known) == INTENT_ANSWERED)
    {
        land(i);
        return;
    }
    Intent intent;
    g_journal.intent_at(known, intent);
    Event e;
    if (is_done(result.retcode) || result.order != 0)
        g_journal.confirmed(flights_[i].magic, is_done(result.retcode), result.order, result.deal);
    if (result.retcode == TRADE_RETCODE_NO_CHANGES)
    {
        make_changed(intent.command, result.retcode, e);
    }
    else if (!is_done(result.retcode))
    {
        make_refused(intent.command, result.retcode, e);
        e.order_ticket = result.order;
    }
    else if (flights_[i].market)
    {
        flights_[i].answered = true;
        flights_[i].request_id = 0;
        if (look(i))
            land(i);
        return;
    }
    else if (intent.command.type == COMMAND_OPEN)
    {
        make_event(EVENT_OUTCOME, intent.command, e);
        e.retcode = TRADE_RETCODE_PLACED;
        e.ord_status = STATUS_NEW;
        e.order_ticket = result.order;
        e.price = round_scaled(intent.command.symbol, intent.command.price);
        add_quote(e);
    }
    else
    {
        make_changed(intent.command, TRADE_RETCODE_DONE, e);
    }
    answer(intent.command.magic, e);
    land(i);
}

/// The terminal tells the result of a request that was sent off.
void Executor::on_result(const MqlTradeRequest &request, const MqlTradeResult &result)
{
    if (result.request_id == 0)
        return;
    for (int i = 0; i < ArraySize(flights_); i++)
    {
        // Numbers of requests begin anew with the terminal: the magic has to fit too.
        if (flights_[i].request_id != result.request_id || flights_[i].magic != request.magic)
            continue;
        if (result.retcode != TRADE_RETCODE_INVALID_FILL || !flights_[i].market)
        {
            conclude(i, result);
            return;
        }
        ulong magic = flights_[i].magic;
        refuse_filling(flights_[i].symbol, flights_[i].filling);
        land(i);
        while (attempt(magic, true) == SUBMIT_AGAIN)
        {
        }
        return;
    }
}

/// Looks at the account. @return true if the request has been answered with it.
bool Executor::look(const int i)
{
    flights_[i].looked_ms = now_ms();
    int known = g_journal.find(flights_[i].magic);
    if (known < 0 || g_journal.state_at(known) == INTENT_ANSWERED)
        return true;
    Intent intent;
    g_journal.intent_at(known, intent);
    if (intent.command.type == COMMAND_MODIFY || intent.command.type == COMMAND_CANCEL)
    {
        if (!g_account.connected() || !is_changed(intent.command))
            return false;
        Event e;
        make_changed(intent.command, TRADE_RETCODE_DONE, e);
        answer(intent.command.magic, e);
        return true;
    }
    Found f;
    long since_s = intent.received_ns / 1000000000 + server_offset_s();
    if (!g_account.look_up(intent.command.magic, since_s, intent.command.volume, f))
        return false;
    if (f.stage != FOUND_SETTLED)
        g_account.look_up_ticket(intent.command.magic, intent.order, intent.deal, f);
    if (f.stage == FOUND_SETTLED)
    {
        answer_found(intent.command, f);
        if (intent.command.type == COMMAND_OPEN && f.position != 0)
        {
            int n = ArraySize(filled_);
            ArrayResize(filled_, n + 1, 16);
            filled_[n].order = intent.command;
            filled_[n].position = f.position;
        }
        return true;
    }
    return false;
}

/// Follows up what is in flight. @param hinted the terminal said that something happened.
void Executor::follow(const bool hinted)
{
    for (int i = ArraySize(flights_) - 1; i >= 0; i--)
    {
        ulong age = now_ms() - flights_[i].sent_ms;
        bool due = now_ms() >= flights_[i].looked_ms + LOOK_AFTER_MS;
        // Before the answer has come, what the account shows may still change.
        if ((hinted || due) && (flights_[i].answered || age >= LOOK_AFTER_MS) && look(i))
        {
            land(i);
            continue;
        }
        if (age < (ulong)g_config.answer_ms)
            continue;
        // Not known, and said so: the engine looks it up. A timeout is not a failure.
        int known = g_journal.find(flights_[i].magic);
        if (known >= 0 && g_journal.state_at(known) != INTENT_ANSWERED)
        {
            Intent intent;
            Event e;
            g_journal.intent_at(known, intent);
            make_refused(intent.command, TRADE_RETCODE_TIMEOUT, e);
            e.order_ticket = intent.order;
            answer(intent.command.magic, e);
        }
        land(i);
    }
}

Executor g_executor;
