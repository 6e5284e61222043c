import { useEffect, useState } from 'react';
import { io } from 'socket.io-client';

/**
 * One connection for as long as the component lives.
 * @param {string} url the server
 * @param {() => Promise<string>} getToken stable across renders; asked again for every connection
 * @returns {{socket: import('socket.io-client').Socket | null, isConnected: boolean}}
 */
export function useSocket(url, getToken) {
  const [socket, setSocket] = useState(null);
  const [isConnected, setIsConnected] = useState(false);

  useEffect(() => {
    const connection = io(url, {
      auth: (send) => getToken().then((token) => send({ token }), () => send({})),
    });
    let refusals = 0;
    connection.on('connect', () => {
      refusals = 0;
      setIsConnected(true);
      connection.emit('online');
    });
    connection.on('disconnect', () => setIsConnected(false));
    connection.on('connect_error', ({ message }) => {
      // Network trouble is retried by the client itself; a refusal is final until somebody connects again.
      if (message !== 'Authentication error') return;
      refusals += 1;
      if (refusals === 1) connection.connect();
    });
    setSocket(connection);
    return () => connection.disconnect();
  }, [url, getToken]);

  return { socket, isConnected };
}
