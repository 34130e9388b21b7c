#!/usr/bin/env node
// A FIX 4.4 venue of another engine than ours and than QuickFIX (npm jspurefix), for
// independent_test.cpp.
//
//     JSPF_DIR=<folder that holds node_modules/jspurefix> node independent_venue.cjs PORT DIR
//
// Fills every NewOrderSingle at once, but by Symbol: REJECT refuses, PARTIAL fills in two, SILENT
// says nothing, DROP takes the order and closes the connection. Every message that it takes is a
// line of DIR/orders.jsonl; its sequence numbers are in DIR/store. It answers no status request.
'use strict';
const net = require('net');
const fs = require('fs');
const path = require('path');

const [port, dir] = process.argv.slice(2);
const modules = path.join(process.env.JSPF_DIR, 'node_modules');

// jspurefix listens on every address, whatever its tcp.host says: on loopback only.
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (at, ...rest) {
  const done = rest.find((x) => typeof x === 'function');
  return listen.call(this, { port: typeof at === 'object' ? at.port : at, host: '127.0.0.1' },
    () => { console.log('listening'); if (done) done(); });
};
const sockets = new Set();
const emit = net.Server.prototype.emit;
net.Server.prototype.emit = function (event, socket, ...rest) {
  if (event === 'connection') {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  }
  return emit.call(this, event, socket, ...rest);
};

require(path.join(modules, 'reflect-metadata'));
const fix = require(path.join(modules, 'jspurefix'));
const note = (line) => fs.appendFileSync(path.join(dir, 'orders.jsonl'), JSON.stringify(line) + '\n');

class Broker extends fix.AsciiSession {
  constructor (config) {
    super(config);
    this.logReceivedMsgs = false;
    this.executions = 0;
  }

  report (order, type, status, last, cumulated) {
    const quantity = (order.OrderQtyData || order).OrderQty;
    const price = order.Price || 1.1;
    this.send('8', {
      OrderID: 'O' + order.ClOrdID,
      ClOrdID: order.ClOrdID,
      ExecID: `E${Date.now()}-${++this.executions}`,
      ExecType: type,
      OrdStatus: status,
      Side: order.Side,
      Instrument: { Symbol: (order.Instrument || order).Symbol },
      OrderQtyData: { OrderQty: quantity },
      LastQty: last,
      LastPx: price,
      LeavesQty: type === '8' ? 0 : quantity - cumulated,
      CumQty: cumulated,
      AvgPx: cumulated ? price : 0,
      TransactTime: new Date()
    });
  }

  onApplicationMsg (type, view) {
    const order = view.toObject();
    note({ type, id: order.ClOrdID });
    if (type !== 'D') return;
    const quantity = (order.OrderQtyData || order).OrderQty;
    const symbol = (order.Instrument || order).Symbol;
    if (symbol === 'SILENT') return;
    if (symbol === 'DROP') {
      setImmediate(() => { for (const socket of sockets) socket.destroy(); });
      return;
    }
    if (symbol === 'REJECT') return this.report(order, '8', '8', 0, 0);
    this.report(order, '0', '0', 0, 0);
    const half = Math.floor(quantity / 2);
    if (symbol === 'PARTIAL') this.report(order, 'F', '1', half, half);
    this.report(order, 'F', '2', symbol === 'PARTIAL' ? quantity - half : quantity, quantity);
  }

  onDecoded () {}
  onEncoded () {}
  onLogon () { return true; }
  onReady () { note({ type: 'logon' }); }
  onStopped () {}
}

class Launcher extends fix.SessionLauncher {
  constructor (description) { super(null, description); }
  makeFactory (config) { return { makeSession: (x) => new Broker(x || config) }; }
}

new Launcher({
  application: {
    type: 'acceptor',
    name: 'venue',
    tcp: { host: '127.0.0.1', port: Number(port) },
    protocol: 'ascii',
    dictionary: path.join(modules, 'jspurefix/data/FIX44.xml')
  },
  Username: 'x',
  Password: 'x',
  EncryptMethod: 0,
  ResetSeqNumFlag: false,
  HeartBtInt: 30,
  SenderCompId: 'VENUE',
  TargetCompID: '*',
  BeginString: 'FIX.4.4',
  store: { type: 'file', directory: path.join(dir, 'store') }
}).run().catch((error) => { console.error(error); process.exit(1); });
process.on('SIGTERM', () => process.exit(0));
